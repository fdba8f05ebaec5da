import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EventClock } from './event-clock.js';
import { FakeClock } from './test-support/fake-clock.js';

/** A wall clock that can be set apart from the monotonic one. */
class SteppedClock extends FakeClock {
  stepMs = 0;
  override wallMs(): number {
    return super.wallMs() + this.stepMs;
  }
}

test('times only go forward, also within one reading of the clock', () => {
  const clock = new SteppedClock();
  const events = new EventClock(clock);
  let last = 0;
  for (let index = 0; index < 1000; index++) {
    if (index % 10 === 0) clock.nowMs += 0.3;
    const now = events.nowMs();
    assert.ok(now > last);
    last = now;
  }
});

test('a wall clock that is corrected by a little is followed without going back', () => {
  const clock = new SteppedClock();
  const events = new EventClock(clock);
  const before = events.nowMs();
  clock.stepMs = -500;
  clock.nowMs += 300;
  clock.nowMs += 1000;
  assert.ok(events.nowMs() > before);
  clock.nowMs += 1000;
  assert.ok(Math.abs(events.nowMs() - clock.wallMs()) <= 2);
});

test('a wall clock that is set by hours is followed within a second', () => {
  const clock = new SteppedClock();
  const events = new EventClock(clock);
  events.nowMs();
  for (const stepMs of [3_600_000, -7_200_000]) {
    clock.stepMs = stepMs;
    clock.nowMs += 1001;
    assert.ok(Math.abs(events.nowMs() - clock.wallMs()) <= 2);
  }
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { receiveLimits } from '../limits.js';
import { CallPace } from './call-pace.js';

const { leastCallAgeMs, mostCallAgeMs } = receiveLimits;

/** Mean age that `producers` are told, when each has a call in every age for `ms`. */
function meanAgeMs(pace: CallPace, clock: { nowMs: number }, producers: number, ms: number): number {
  let sum = 0;
  let count = 0;
  const untilMs = clock.nowMs + ms;
  while (clock.nowMs < untilMs) {
    for (let producer = 0; producer < producers; producer++) {
      sum += pace.answer(`producer ${producer}`);
      count++;
    }
    clock.nowMs += 1000;
  }
  return sum / count;
}

function about(actual: number, expected: number): void {
  assert.ok(Math.abs(actual - expected) < expected / 20, `${actual}, not about ${expected}`);
}

test('few producers are told the least age, many one that bounds the calls of a second, and all the most', () => {
  for (const [producers, expected] of [
    [1, leastCallAgeMs],
    [40, leastCallAgeMs],
    [5000, mostCallAgeMs],
  ] as const) {
    const clock = { nowMs: 0 };
    const pace = new CallPace(receiveLimits, () => clock.nowMs);
    meanAgeMs(pace, clock, producers, 4000);
    about(meanAgeMs(pace, clock, producers, 20_000), expected);
  }
  const clock = { nowMs: 0 };
  const pace = new CallPace(receiveLimits, () => clock.nowMs);
  meanAgeMs(pace, clock, 400, 4000);
  about(meanAgeMs(pace, clock, 400, 20_000), 1000);
});

test('producers that are gone do not make the others wait for long', () => {
  const clock = { nowMs: 0 };
  const pace = new CallPace(receiveLimits, () => clock.nowMs);
  meanAgeMs(pace, clock, 1000, 4000);
  meanAgeMs(pace, clock, 10, 4 * mostCallAgeMs);
  about(meanAgeMs(pace, clock, 10, 4000), leastCallAgeMs);
});

test('producers that call together are told different ages', () => {
  const pace = new CallPace(receiveLimits, () => 0);
  const ages = new Set(Array.from({ length: 20 }, (_, index) => pace.answer(String(index))));
  assert.ok(ages.size > 10, [...ages].join());
});

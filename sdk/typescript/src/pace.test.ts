import assert from 'node:assert/strict';
import { test } from 'node:test';
import { internalLimits, numberOptions } from './limits.js';
import { Pace } from './pace.js';
import { testLogger } from './test-support/test-logger.js';

const requestAgeMs = numberOptions.requestAgeMs.default;
const callAgeMs = numberOptions.callAgeMs.default;
const defaults = { requestAgeMs, callAgeMs, isRequestAgeGiven: false, isCallAgeGiven: false };

function agesOf(pace: Pace): [number, number] {
  return [pace.requestAgeMs, pace.callAgeMs];
}

test('the collector sets both ages, and one that says nothing leaves them as they are', () => {
  const pace = new Pace(defaults);
  assert.deepEqual(agesOf(pace), [requestAgeMs, 0], 'the first call asks at once');
  pace.noticeAnswer(0);
  assert.deepEqual(agesOf(pace), [requestAgeMs, callAgeMs]);
  pace.noticeAnswer(120);
  assert.deepEqual(agesOf(pace), [120, 120]);
  pace.noticeAnswer(3_600_000);
  assert.deepEqual(agesOf(pace), [internalLimits.askedRequestAgeMaxMs, internalLimits.askedCallAgeMaxMs]);
  pace.noticeAnswer(2250);
  assert.deepEqual(agesOf(pace), [750, 2250], 'events leave the process within a second');
});

test('what the user named stays, whatever the collector asks for', () => {
  const request = new Pace({ ...defaults, requestAgeMs: 20, isRequestAgeGiven: true });
  const call = new Pace({ ...defaults, callAgeMs: 5000, isCallAgeGiven: true });
  assert.deepEqual(agesOf(call), [requestAgeMs, 5000]);
  for (const pace of [request, call]) pace.noticeAnswer(400);
  assert.deepEqual(agesOf(request), [20, 400]);
  assert.deepEqual(agesOf(call), [requestAgeMs, 5000]);
});

test('an event is acknowledged within the age that the collector asks for, with one call for all of that time', async () => {
  const { logger, model, clock } = testLogger({});
  model.callAgeMs = 500;
  logger.event('first');
  await clock.advance(requestAgeMs + 10);
  assert.deepEqual([model.calls, logger.stats().acknowledged], [1, 1]);
  for (let event = 0; event < 10; event++) {
    logger.event('step', { event });
    await clock.advance(49);
  }
  assert.deepEqual([model.calls, logger.stats().acknowledged], [1, 1]);
  await clock.advance(20);
  assert.deepEqual([model.calls, logger.stats().acknowledged], [2, 11]);
  void logger.close();
  await clock.advance(1000);
});

test('with an age for requests and one for calls, a call carries many requests and ends when its first event is old', async () => {
  const { logger, model, clock } = testLogger({ options: { requestAgeMs: 100, callAgeMs: 1000 } });
  for (let event = 0; event < 9; event++) {
    logger.event('step', { event });
    await clock.advance(110);
  }
  assert.deepEqual([model.calls, logger.stats().acknowledged], [1, 0]);
  assert.ok(model.messages >= 8, String(model.messages));
  await clock.advance(30);
  assert.equal(logger.stats().acknowledged, 9);
  void logger.close();
  await clock.advance(1000);
});

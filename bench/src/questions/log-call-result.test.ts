import assert from 'node:assert/strict';
import { test } from 'node:test';
import { logCallProblem, logCallResult, logCallTable, type State, stateNames } from './log-call-result.js';

const ns = { samples: 1000, p50: 700, p99: 1500, p999: 9000, max: 80_000 };
const times = (dropped: number, acknowledged: number, calls = 3) => ({
  ns,
  dropped,
  acknowledged,
  calls,
  bufferedBytes: 2 ** 20,
});
const good = new Map<State, ReturnType<typeof times>>([
  ['up', times(0, 900)],
  ['down', times(0, 0, 0)],
  ['hung', times(0, 0)],
  ['full', times(1000, 0)],
  ['full_down', times(1000, 0)],
]);
const fine = { acknowledged: true, full: true };

test('each state has its figures, and allocation is the sum of heap and external', () => {
  const result = logCallResult({
    states: good,
    clock: { ns, resolutionNs: 31 },
    allocated: { heapBytes: 200.04, externalBytes: 99.96 },
  });
  assert.deepEqual(Object.keys(result.call_ns), [...stateNames]);
  assert.equal(result.call_ns.hung.p99, 1500);
  assert.equal(result.call_ns.full.dropped, 1000);
  assert.equal(result.allocated_bytes_per_call.total, 300);
  assert.match(logCallTable(result), /^full_down +700 +1,500 +9,000 +80,000 +1,000$/m);
});

test('states that were what they are called are no problem', () => {
  assert.equal(logCallProblem(good, fine), undefined);
});

test('a state that was another one is named', () => {
  const but = (state: State, value: ReturnType<typeof times>) => new Map(good).set(state, value);
  assert.match(logCallProblem(good, { ...fine, acknowledged: false })!, /^up/);
  assert.match(logCallProblem(good, { ...fine, full: false })!, /did not fill/);
  assert.match(logCallProblem(but('down', times(1, 0)), fine)!, /^down: the buffer was full/);
  assert.match(logCallProblem(but('hung', times(0, 5)), fine)!, /^hung: something was acknowledged/);
  assert.match(logCallProblem(but('hung', times(0, 0, 0)), fine)!, /no call was opened/);
  assert.match(logCallProblem(but('full', times(999, 0)), fine)!, /^full: not every call/);
});

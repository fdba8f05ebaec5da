import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type MergeState, parseMergeState, settle } from './settle.js';

const options = { quietMs: 1000, deadlineMs: 5000, intervalMs: 500 };

function scripted(states: MergeState[]) {
  let nowMs = 0;
  let looks = 0;
  return {
    look: async () => states[Math.min(looks++, states.length - 1)]!,
    time: {
      nowMs: () => nowMs,
      sleep: async (ms: number) => {
        nowMs += ms;
      },
    },
  };
}

test('parts that stay the same with no merge running are settled after the quiet time', async () => {
  const { look, time } = scripted([{ running: 0, parts: 'a b' }]);
  assert.deepEqual(await settle(look, time, options), { settled: true, waitedMs: 1000 });
});

test('a running merge and a changed part begin the quiet time anew', async () => {
  const { look, time } = scripted([
    { running: 0, parts: 'a b' },
    { running: 1, parts: 'a b' },
    { running: 1, parts: 'a b' },
    { running: 0, parts: 'c' },
  ]);
  assert.deepEqual(await settle(look, time, options), { settled: true, waitedMs: 2500 });
});

test('merges without end are given up at the deadline, and that is said', async () => {
  const { look, time } = scripted([{ running: 1, parts: 'a' }]);
  assert.deepEqual(await settle(look, time, options), { settled: false, waitedMs: 5000 });
});

test('an empty table has no parts', () => {
  assert.deepEqual(parseMergeState('0\t\n'), { running: 0, parts: '' });
  assert.deepEqual(parseMergeState('2\ta b\n'), { running: 2, parts: 'a b' });
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { summarize } from './profile.js';

const frame = (functionName: string, url = '', lineNumber = -1) => ({ functionName, url, lineNumber });

test('self time is summed over all places a function is called from, without idle time', () => {
  const { busyUs, functions } = summarize({
    nodes: [
      { id: 1, callFrame: frame('(root)') },
      { id: 2, callFrame: frame('(idle)') },
      { id: 3, callFrame: frame('scan', 'file:///a/dist/validate/scan.js', 9) },
      { id: 4, callFrame: frame('scan', 'file:///a/dist/validate/scan.js', 9) },
      { id: 5, callFrame: frame('(garbage collector)') },
    ],
    samples: [2, 3, 4, 5, 2],
    timeDeltas: [1000, 300, 500, 200, 5000],
  });
  assert.equal(busyUs, 1000);
  assert.deepEqual(functions, [
    { name: 'scan (validate/scan.js:10)', share: 0.8, selfUs: 800 },
    { name: '(garbage collector)', share: 0.2, selfUs: 200 },
  ]);
});

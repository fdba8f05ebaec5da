import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRequests } from './recorded-requests.js';

test('a recorded request keeps its ticks', () => {
  const csv = 'TIMESTAMP,ContextTokens,GeneratedTokens\r\n2023-11-16 18:17:03.9799600,4808,10\r\n';
  assert.deepEqual(parseRequests(csv), [
    { timeUnixNano: 1700158623979960000n, contextTokens: 4808, generatedTokens: 10 },
  ]);
});

test('a row that is none is named', () => {
  assert.throws(() => parseRequests('h\n2023-11-16,1,2\n'), /row 2 is not TIMESTAMP/);
});

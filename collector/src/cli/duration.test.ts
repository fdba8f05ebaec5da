import assert from 'node:assert/strict';
import { test } from 'node:test';
import { showDuration } from './duration.js';

test('a duration shows its two largest units', () => {
  const shown = [0, 0.44, 9.96, 12.3, 60, 200, 7500, 86_400, 352_800].map(showDuration);
  assert.deepEqual(shown, ['0s', '0.4s', '10s', '12s', '1m', '3m 20s', '2h 5m', '1d', '4d 2h']);
});

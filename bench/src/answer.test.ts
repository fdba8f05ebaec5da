import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withoutFiles } from './answer.js';

test('the command of a result is what was asked, not where the answer went', () => {
  const args = ['ingest', '--json', '/tmp/x.json', '--seconds', '5', '--profile=/tmp/p'];
  assert.deepEqual(withoutFiles(args), ['ingest', '--seconds', '5']);
});

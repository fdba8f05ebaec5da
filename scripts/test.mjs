// Runs all tests, or those whose path holds one of the words given: npm test -- wal readme
import './setup.mjs';
import './build.mjs';
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './root.mjs';

const folders = [
  'proto/dist',
  'sdk/typescript/dist',
  'collector/dist',
  'collector/integration/dist',
  'bench/dist',
  'faults/dist',
  'examples/dist',
];
const words = process.argv.slice(2);
const files = folders
  .flatMap((folder) => readdirSync(join(root, folder), { recursive: true }).map((name) => join(folder, name)))
  .filter(
    (path) => path.endsWith('.test.js') && (words.length === 0 || words.some((word) => path.includes(word))),
  )
  .sort();
if (files.length === 0) {
  console.error(`no test file's path holds any of: ${words.join(', ')}`);
  process.exit(1);
}

const run = spawnSync(
  process.execPath,
  ['--test', '--test-reporter=spec', '--test-concurrency=2', '--test-timeout=1200000', ...files],
  { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] },
);
process.exit(run.status ?? 1);

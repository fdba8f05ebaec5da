// Runs all tests, or those whose path holds one of the words given: npm test -- wal readme
// First the Python SDK's (pytest, in an environment of its own), then all others (node's test runner).
import './setup.mjs';
import './build.mjs';
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { sdkPython } from './python.mjs';
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
/** More than the whole of it takes on a busy machine. */
const pytestTimeoutMs = 1_200_000;

const words = process.argv.slice(2);
const isWanted = (path) => words.length === 0 || words.some((word) => path.includes(word));
const filesIn = (folder) =>
  readdirSync(join(root, folder), { recursive: true }).map((name) => join(folder, name));

const files = folders
  .flatMap(filesIn)
  .filter((path) => path.endsWith('.test.js') && isWanted(path))
  .sort();
// The tests of the integrations need PyTorch and more: npm run test:integrations.
const pythonFiles = filesIn('sdk/python/tests')
  .filter(
    (path) => /(^|\/)test_\w+\.py$/.test(path) && !path.includes('tests/integrations/') && isWanted(path),
  )
  .sort();
if (files.length + pythonFiles.length === 0) {
  console.error(`no test file's path holds any of: ${words.join(', ')}`);
  process.exit(1);
}

const failed = [];
if (pythonFiles.length > 0) {
  const python = sdkPython();
  const run =
    python === null
      ? { status: 1 }
      : spawnSync(python, ['-m', 'pytest', '-c', 'sdk/python/pyproject.toml', ...pythonFiles], {
          cwd: root,
          stdio: ['ignore', 'inherit', 'inherit'],
          timeout: pytestTimeoutMs,
          killSignal: 'SIGKILL',
        });
  if (run.status !== 0) failed.push('pytest (sdk/python)');
}
if (files.length > 0) {
  const run = spawnSync(
    process.execPath,
    ['--test', '--test-reporter=spec', '--test-concurrency=2', '--test-timeout=1200000', ...files],
    { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] },
  );
  if (run.status !== 0) failed.push("node's tests");
}
if (failed.length > 0) {
  console.error(`failed: ${failed.join(', ')}; see above`);
  process.exit(1);
}

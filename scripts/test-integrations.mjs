// Runs the tests of the Python SDK that need PyTorch, Transformers and Lightning, and the Python examples, for real.
// Installs what is missing (some hundred megabytes). With words, the tests whose name or file holds them, as pytest's -k.
import './setup.mjs';
import './build.mjs';
import { spawnSync } from 'node:child_process';
import { integrationsPython } from './python.mjs';
import { root } from './root.mjs';

const python = integrationsPython();
if (python === null) process.exit(1);
const words = process.argv.slice(2);
const run = spawnSync(
  python,
  [
    ...['-m', 'pytest', '-c', 'sdk/python/pyproject.toml', 'sdk/python/tests/integrations'],
    ...(words.length > 0 ? ['-k', words.join(' or ')] : []),
  ],
  { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], timeout: 1_200_000, killSignal: 'SIGKILL' },
);
process.exit(run.status ?? 1);

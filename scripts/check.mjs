// One command to check: types, generated types, lint and format, one-way imports, of TypeScript and of Python.
import './setup.mjs';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { sdkPython } from './python.mjs';
import { root } from './root.mjs';

const steps = [
  ['generated types are current', ['scripts/generate.mjs', '--check']],
  ['types', ['scripts/build.mjs']],
  [
    'lint and format',
    [join('node_modules', '@biomejs', 'biome', 'bin', 'biome'), 'ci', '--error-on-warnings', '.'],
  ],
  ['one-way imports', ['scripts/check-imports.mjs']],
];
const python = join('sdk', 'python');
const config = join(python, 'pyproject.toml');
// Beside the SDK, Python that belongs to the examples and the bench.
const ruffed = [python, 'examples', 'bench', 'faults'];
const pythonSteps = [
  ['Python: generated classes are current', [join(python, 'scripts', 'generate.py'), '--check']],
  ['Python: types', ['-m', 'mypy', '--config-file', 'pyproject.toml'], python],
  ['Python: lint', ['-m', 'ruff', 'check', '--quiet', '--config', config, ...ruffed]],
  ['Python: format', ['-m', 'ruff', 'format', '--check', '--quiet', '--config', config, ...ruffed]],
];

let failed = 0;
function step(name, command, args, folder = '.') {
  const { status } = spawnSync(command, args, { cwd: join(root, folder), stdio: 'inherit' });
  console.log(`${status === 0 ? 'ok    ' : 'FAILED'}  ${name}`);
  if (status !== 0) failed++;
}
for (const [name, args] of steps) step(name, process.execPath, args);
const interpreter = sdkPython();
if (interpreter === null) failed++;
else for (const [name, args, folder] of pythonSteps) step(name, interpreter, args, folder);
if (failed > 0) {
  console.log('check: failed. `npm run format` mends the format; the rest is named above.');
  process.exit(1);
}
console.log('check: ok');

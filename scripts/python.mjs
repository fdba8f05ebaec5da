// Pythons with the packages that tests need, in `.cache/`: made on first use, with pinned versions, and
// made anew when a pin changes. `node scripts/python.mjs [sdk | integrations | bench]` makes one and prints its path.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { root } from './root.mjs';

/** What the tests of the embedded store need. */
export const clickhousePackages = ['clickhouse-connect==1.12.0'];

const sdk = join(root, 'sdk', 'python');
const pip = ['-m', 'pip', '--disable-pip-version-check', '--quiet'];

/**
 * A Python with clickhouse-connect. Returns the interpreter's path, or null after saying why there is none; whoever
 * asked then skips what needs it.
 */
export function python(packages = clickhousePackages) {
  return make({
    name: 'python',
    base: () => 'python3',
    about: packages.join(', '),
    stamp: packages.join('\n'),
    installs: [packages],
  });
}

/**
 * A Python with the SDK of this clone (installed as an editable package) and what its tests, types and lint need. Null
 * after saying why there is none.
 */
export function sdkPython() {
  return make(withSdk({ name: 'python-sdk', base: recentPython, requirements: 'requirements-dev.txt' }));
}

/**
 * A Python with the SDK, PyTorch, Transformers and Lightning. PyTorch is Debian's: the wheel from PyPI brings gigabytes
 * of GPU libraries. It is installed with apt if it is missing and we are root. Null after saying why there is none.
 */
export function integrationsPython() {
  const venv = withSdk({
    name: 'python-integrations',
    base: pythonWithTorch,
    requirements: 'requirements-integrations.txt',
  });
  const repair = join(sdk, 'tests', 'integrations', 'repair_debian_torch.py');
  return make({
    ...venv,
    arguments: ['--system-site-packages'],
    stamp: venv.stamp + readFileSync(repair, 'utf8'),
    after: (interpreter) => spawnSync(interpreter, [repair], { encoding: 'utf8' }),
  });
}

/** A Python with the SDK and what it is compared with. Null after saying why there is none. */
export function benchPython() {
  return make(withSdk({ name: 'python-bench', base: recentPython, requirements: 'requirements-bench.txt' }));
}

/** Where a virtual environment's interpreter is. */
function interpreterOf(folder) {
  return join(folder, process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python');
}

function withSdk({ name, base, requirements }) {
  const file = join(sdk, requirements);
  return {
    name,
    base,
    about: `sdk/python/${requirements}`,
    stamp: readFileSync(file, 'utf8') + readFileSync(join(sdk, 'pyproject.toml'), 'utf8'),
    // The pins name everything, so nothing is resolved, and nothing that is not pinned can come in.
    installs: [
      ['--no-deps', '--only-binary', ':all:', '-r', file],
      ['--no-deps', '--no-build-isolation', '-e', sdk],
    ],
  };
}

/** @returns the interpreter's path or null */
function make({ name, base, about, stamp, installs, arguments: venvArguments = [], after }) {
  const folder = join(root, '.cache', name);
  const interpreter = interpreterOf(folder);
  const stampFile = join(folder, 'sluice-packages.txt');
  const wanted = createHash('sha256').update(stamp).digest('hex');
  const made = existsSync(stampFile) ? readFileSync(stampFile, 'utf8') : '';
  // The interpreter itself goes when the system's Python is upgraded: then its link leads nowhere.
  if (made === wanted && existsSync(interpreter)) return interpreter;
  const from = base();
  if (from === null) return null;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(root, '.cache'), { recursive: true });
  const created = spawnSync(from, ['-m', 'venv', ...venvArguments, folder], { encoding: 'utf8' });
  if (created.status !== 0) return none(`${from} with its venv module is needed`, created);
  console.error(`python: installing ${about} into .cache/${name} (once)`);
  for (const packages of installs) {
    const run = spawnSync(interpreter, [...pip, 'install', ...packages], { cwd: root, encoding: 'utf8' });
    if (run.status !== 0) return none(`pip could not install ${packages.join(' ')}`, run);
  }
  const done = after?.(interpreter);
  if (done !== undefined && done.status !== 0) return none(`.cache/${name} could not be finished`, done);
  writeFileSync(stampFile, wanted);
  return interpreter;
}

/** The pinned tools need 3.11; the package itself runs on 3.9 and newer. */
function recentPython() {
  const test = 'import sys; sys.exit(sys.version_info < (3, 11))';
  for (const name of ['python3', 'python3.13', 'python3.12', 'python3.11']) {
    if (spawnSync(name, ['-c', test], { stdio: 'ignore' }).status === 0) return name;
  }
  console.error(
    'python: none, Python 3.11 or newer is needed to test the Python SDK (as python3 on the PATH)',
  );
  return null;
}

function pythonWithTorch() {
  const debian = '/usr/bin/python3';
  const hasTorch = () =>
    spawnSync(debian, ['-c', 'import torch, ensurepip'], { stdio: 'ignore' }).status === 0;
  if (hasTorch()) return debian;
  const packages = ['python3-torch', 'python3-venv'];
  const command = `apt-get install --no-install-recommends ${packages.join(' ')}`;
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) {
    console.error(`python: none, ${debian} has no PyTorch; on Debian: ${command}`);
    return null;
  }
  console.error(`python: ${command} (once)`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const options = { stdio: ['ignore', 'ignore', 'inherit'], env };
  spawnSync('apt-get', ['update', '-qq'], options);
  spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...packages], options);
  if (hasTorch()) return debian;
  console.error(`python: none, apt-get could not install ${packages.join(', ')}`);
  return null;
}

function none(reason, run) {
  const detail = (run.error?.message ?? run.stderr ?? '').trim().split('\n').slice(-3).join(' ');
  console.error(`python: none, ${reason}: ${detail}`);
  return null;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const makers = { sdk: sdkPython, integrations: integrationsPython, bench: benchPython };
  const name = process.argv[2];
  const maker = name === undefined ? python : makers[name];
  if (maker === undefined) {
    console.error(`python: ${name} is none of ${Object.keys(makers).join(', ')}`);
    process.exit(2);
  }
  const path = maker();
  if (path === null) process.exit(1);
  console.log(path);
}

// A Python with the packages that tests need, in `.cache/python`: made on first use, with pinned
// versions. `python()` returns the interpreter's path, or null after saying why there is none; whoever
// asked then skips what needs it. `node scripts/python.mjs` makes it and prints the path.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { root } from './root.mjs';

/** What the tests of the embedded store need. */
export const clickhousePackages = ['clickhouse-connect==1.12.0'];

const folder = join(root, '.cache', 'python');
const interpreter = join(folder, process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python');
const stamp = join(folder, 'sluice-packages.txt');

export function python(packages = clickhousePackages) {
  const installed = existsSync(stamp) ? readFileSync(stamp, 'utf8').split('\n') : [];
  const missing = packages.filter((name) => !installed.includes(name));
  if (missing.length === 0 && existsSync(interpreter)) return interpreter;
  mkdirSync(join(root, '.cache'), { recursive: true });
  if (!existsSync(interpreter)) {
    const made = spawnSync('python3', ['-m', 'venv', folder], { encoding: 'utf8' });
    if (made.status !== 0) return none('python3 with its venv module is needed', made);
  }
  console.error(`python: installing ${missing.join(', ')} into .cache/python (once)`);
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...missing];
  const run = spawnSync(interpreter, pip, { encoding: 'utf8' });
  if (run.status !== 0) return none(`pip could not install ${missing.join(', ')}`, run);
  writeFileSync(stamp, [...new Set([...installed, ...missing])].filter(Boolean).join('\n'));
  return interpreter;
}

function none(reason, run) {
  const detail = (run.error?.message ?? run.stderr ?? '').trim().split('\n').slice(-3).join(' ');
  console.error(`python: none, ${reason}: ${detail}`);
  return null;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const path = python();
  if (path === null) process.exit(1);
  console.log(path);
}

// Mends lint that can be mended, and the format, of TypeScript and of Python.
import './setup.mjs';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { sdkPython } from './python.mjs';
import { root } from './root.mjs';

const options = { cwd: root, stdio: 'inherit' };
const biome = join('node_modules', '@biomejs', 'biome', 'bin', 'biome');
let failed = spawnSync(process.execPath, [biome, 'check', '--write', '.'], options).status !== 0;
const python = sdkPython();
const config = ['--config', join('sdk', 'python', 'pyproject.toml')];
const folders = [join('sdk', 'python'), 'examples', 'bench', 'faults'];
for (const command of [['check', '--fix'], ['format']]) {
  if (python === null) failed = true;
  else
    failed =
      spawnSync(python, ['-m', 'ruff', ...command, ...config, ...folders], options).status !== 0 || failed;
}
process.exit(failed ? 1 : 0);

// One command to check: types, generated types, lint and format, one-way imports.
import './setup.mjs';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
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

let failed = 0;
for (const [name, args] of steps) {
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
  console.log(`${status === 0 ? 'ok    ' : 'FAILED'}  ${name}`);
  if (status !== 0) failed++;
}
if (failed > 0) {
  console.log('check: failed. `npm run format` mends the format; the rest is named above.');
  process.exit(1);
}
console.log('check: ok');

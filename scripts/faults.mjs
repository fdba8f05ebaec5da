// Breaks things and counts what is stored: npm run faults -- --scenario NAME. Builds what the suite needs, then runs it with the arguments given.
import './setup.mjs';
import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { root } from './root.mjs';

// A process of its own, because build.mjs takes its arguments from the command line, as this does.
const build = spawnSync(process.execPath, [join(root, 'scripts', 'build.mjs'), 'faults'], {
  cwd: root,
  stdio: ['ignore', 'inherit', 'inherit'],
});
if (build.status !== 0) process.exit(build.status ?? 1);

const faults = spawn(process.execPath, [join(root, 'faults', 'dist', 'main.js'), ...process.argv.slice(2)], {
  stdio: 'inherit',
});
// The suite ends its processes and removes its files first; Ctrl-C reaches it without our help.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => faults.kill('SIGTERM'));
faults.on('exit', (code) => process.exit(code ?? 1));

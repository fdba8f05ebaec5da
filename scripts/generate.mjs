// Writes the TypeScript types of the service definition (proto/src/generated).
// `--check` compares instead of writing, and exits 1 if they are not current.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from './root.mjs';

const committed = join(root, 'proto', 'src', 'generated');

function generate(outDir) {
  execFileSync(
    process.execPath,
    [
      join(root, 'node_modules', '@grpc', 'proto-loader', 'build', 'bin', 'proto-loader-gen-types.js'),
      '--keepCase',
      '--longs=String',
      '--enums=String',
      '--bytes=Buffer',
      '--grpcLib=@grpc/grpc-js',
      '--importFileExtension=.js',
      `--outDir=${outDir}`,
      // Relative: the generator writes this path into what it generates.
      'proto/sluice/v1/collector.proto',
    ],
    { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] },
  );
}

function read(dir) {
  const files = readdirSync(dir, { recursive: true }).filter((name) => name.endsWith('.ts'));
  return new Map(files.sort().map((name) => [name, readFileSync(join(dir, name), 'utf8')]));
}

if (process.argv.includes('--check')) {
  const fresh = mkdtempSync(join(tmpdir(), 'sluice-generate-'));
  try {
    generate(fresh);
    const want = read(fresh);
    const have = read(committed);
    const stale = [...new Set([...want.keys(), ...have.keys()])].filter(
      (name) => want.get(name) !== have.get(name),
    );
    if (stale.length > 0) {
      console.error(`proto/src/generated is not current: ${stale.join(', ')}\nRun: npm run generate`);
      process.exitCode = 1;
    }
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
} else {
  rmSync(committed, { recursive: true, force: true });
  generate(committed);
}

/** In processes of their own: V8's flags hold for a whole process. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';

const flags = new URL('./heap-flags.js', import.meta.url).href;

/** Runs `code`, which prints a number, in a process that makes many objects which live for long. */
function youngMebibytes(code: string): number {
  const program = `
    import { Worker } from 'node:worker_threads';
    import { holdYoungGeneration, youngCollector, youngGenerationBytes } from '${flags}';
    const grow = () => {
      for (let kept = [], made = 0; made < 2_000_000; made++) {
        kept.push({ made });
        if (kept.length > 200_000) kept = [];
      }
    };
    const startThread = () => new Promise((resolve) => {
      new Worker('', { eval: true }).once('online', resolve);
    });
    ${code}
    process.stdout.write(String(youngGenerationBytes() / 1024 / 1024));
  `;
  return Number(
    execFileSync(process.execPath, ['--input-type=module', '--eval', program], { encoding: 'utf8' }),
  );
}

test('the young generation grows by itself, and stays as it is when it is held', () => {
  assert.ok(youngMebibytes('grow();') > 8);
  assert.ok(youngMebibytes('holdYoungGeneration(); grow();') <= 4);
});

test('a thread that starts does not let it go for good, and a collector lets it grow to 8 MiB at most', () => {
  const collected =
    'const collect = youngCollector(); for (let round = 0; round < 5; round++) { collect(); grow(); }';
  const young = youngMebibytes(
    `holdYoungGeneration(); await startThread(); holdYoungGeneration(); ${collected}`,
  );
  assert.ok(young > 1 && young <= 8, String(young));
});

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { numberOptions } from './limits.js';
import { CollectorModel } from './test-support/collector-model.js';
import { startServer } from './test-support/fake-server.js';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');

test('the example in the README runs and delivers', async (context) => {
  const model = new CollectorModel();
  const server = await startServer(model);
  context.after(() => server.kill());
  const example = /```ts\n([\s\S]*?)```/.exec(readme)?.[1];
  assert.ok(example);
  const script = example.replace("'@sluice/sdk'", `'${new URL('./index.js', import.meta.url).href}'`);
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    env: { ...process.env, SLUICE_ENDPOINT: server.endpoint },
    stdio: 'inherit',
  });
  const code = await new Promise((resolve) => child.on('close', resolve));
  assert.equal(code, 0);
  assert.equal(model.events().length, 1001);
});

test('the README names every option', () => {
  for (const name of Object.keys(numberOptions)) assert.ok(readme.includes(`\`${name}\``), name);
});

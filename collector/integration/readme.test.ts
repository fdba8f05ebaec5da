/** What the README tells people to type is typed here, against a real `sluice up`. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { fileLayer, makeConfig } from '@sluice/collector/config.js';
import { until } from './collector-harness.js';
import { newDataDir, removeDataDir } from './embedded-harness.js';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../../../', import.meta.url));
const readme = readFileSync(`${root}README.md`, 'utf8');
const blocks = (language: string): string[] =>
  [...readme.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))].map(
    ([, body]) => body as string,
  );

let folder: string;
let up: ChildProcess;
let env: NodeJS.ProcessEnv;
let storeUrl: string;
before(async () => {
  folder = await newDataDir();
  up = spawn(
    process.execPath,
    [
      `${root}collector/bin/sluice.js`,
      'up',
      '--data',
      folder,
      '--grpc',
      '127.0.0.1:0',
      '--store-port',
      '0',
      '--json',
    ],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  );
  for await (const line of createInterface({ input: up.stdout as NodeJS.ReadableStream })) {
    const ready = JSON.parse(line) as { grpc: string; store: string };
    storeUrl = ready.store;
    env = { ...process.env, SLUICE_ENDPOINT: ready.grpc, SLUICE_STORE_URL: ready.store };
    break;
  }
});
after(async () => {
  if (up.exitCode === null) {
    up.kill('SIGTERM');
    await once(up, 'exit');
  }
  await removeDataDir(folder);
});

test('the README names the two commands, and every npm script that it names exists', () => {
  const { scripts } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as {
    scripts: Record<string, string>;
  };
  assert.match(readme, /```sh\nnpm run demo\n```/);
  assert.match(readme, /```sh\nnpm test\n```/);
  const named = [...readme.matchAll(/npm run ([\w-]+)/g)].map(([, name]) => name as string);
  for (const name of named)
    assert.ok(name in scripts, `npm run ${name} is in the README and not in package.json`);
});

test('the example of the SDK runs as it stands, and the questions below it have answers', async () => {
  const [example] = blocks('ts');
  const file = fileURLToPath(new URL('./readme-example.mjs', import.meta.url));
  writeFileSync(file, example as string);
  try {
    await run(process.execPath, [file], { env, cwd: root });
  } finally {
    rmSync(file);
  }
  await until(
    async () =>
      (
        await run('npx', ['sluice', 'sql', 'SELECT count() FROM events', '--format', 'TSV'], {
          env,
          cwd: root,
        })
      ).stdout,
    (text) => text.trim() === '201',
  );
  const questions = blocks('sh')
    .flatMap((block) => block.split('\n'))
    .filter((line) => /^npx sluice (sql|runs|losses|quarantine list)|^curl /.test(line))
    .map((line) => line.replace('http://127.0.0.1:8123', storeUrl));
  assert.ok(questions.length >= 5);
  const answers: string[] = [];
  for (const question of questions)
    answers.push((await run('bash', ['-c', question], { env, cwd: root })).stdout);
  assert.match(answers[0] as string, /speedrun-7/);
  const losses = (answers[1] as string).trim().split('\n').slice(-4);
  assert.deepEqual(
    losses.map((line) => Number(line.split('\t')[0])),
    [50, 100, 150, 200],
  );
  assert.match(answers.at(-1) as string, /"name":"train\.step","count\(\)":"?200"?/);
});

test('the configuration in the README is one that the collector takes', () => {
  const file = `${folder}/sluice.yaml`;
  writeFileSync(file, blocks('yaml')[0] as string);
  const config = makeConfig(fileLayer(file));
  assert.equal(config.store.database, 'ml');
});

/** The example that replays training logs, against a real collector and a real store: SQL gives the files back. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startCollector, testConfig, until } from './collector-harness.js';
import { newDataDir, removeDataDir, startStore } from './embedded-harness.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const logs = `${root}examples/fixtures/training-runs`;

interface Row {
  readonly step: number | null;
  readonly metrics: Readonly<Record<string, number | string>>;
  readonly body: string;
}

/** What a line says, read in another way than the example reads it. */
function expectedRow(line: string): Row {
  const metrics: Record<string, number | string> = {};
  const step = /\bs(?:tep)?:(\d+)/.exec(line);
  for (const [key, unit] of [
    ['train_loss', ''],
    ['val_loss', ''],
    ['trl', ''],
    ['tel', ''],
    ['lr', ''],
    ['norm', ''],
    ['train_time', 'ms'],
    ['step_avg', 'ms'],
    ['peak memory allocated', 'MiB'],
    ['reserved', 'MiB'],
  ] as const) {
    const value = line.split(`${key}:`)[1]?.trim().split(' ')[0];
    if (value === undefined) continue;
    const number = value.replace(/ms$/, '');
    const name = key.replaceAll(' ', '_') + (unit === '' ? '' : `_${unit.toLowerCase()}`);
    metrics[name] = number === 'nan' ? 'nan' : Number(number);
  }
  return { step: step === null ? null : Number(step[1]), metrics, body: line };
}

test('a replay of training logs gives in SQL exactly the lines, steps and values of the files', async () => {
  const folder = await newDataDir();
  const store = await startStore({ dataDir: `${folder}/store` });
  const collector = await startCollector(testConfig(folder, store.url));
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [
      `${root}examples/dist/replay-training-logs.js`,
      logs,
      '--endpoint',
      `127.0.0.1:${collector.port}`,
    ]);
    const files = readdirSync(logs);
    const lines = files.flatMap((file) =>
      readFileSync(`${logs}/${file}`, 'utf8').split('\n').filter(Boolean),
    );
    assert.ok(
      stdout.endsWith(`replay: files=4 logged=${lines.length} acknowledged=${lines.length} dropped=0\n`),
      stdout,
    );
    await until(
      () => store.sql('SELECT count() FROM events'),
      (count) => Number(count) >= lines.length,
    );
    for (const file of files) {
      const rows = await store.sql(
        `SELECT step, metrics, body FROM events WHERE run_id = '${file.replace(/\.log$/, '')}' ORDER BY sequence FORMAT JSONEachRow SETTINGS output_format_json_quote_denormals = 1, output_format_json_quote_64bit_integers = 0`,
      );
      assert.deepEqual(
        rows
          .split('\n')
          .filter(Boolean)
          .map((row) => JSON.parse(row) as Row),
        readFileSync(`${logs}/${file}`, 'utf8').split('\n').filter(Boolean).map(expectedRow),
        file,
      );
    }
  } finally {
    await collector.stop();
    await store.stop();
    await removeDataDir(folder);
  }
});

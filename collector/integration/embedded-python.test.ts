import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { newDataDir, removeDataDir, type StoreProcess, startStore } from './embedded-harness.js';

const scripts = new URL('../../../scripts/python.mjs', import.meta.url).href;
const { python } = (await import(scripts)) as { python(): string | null };
const interpreter = python();
const skip = interpreter === null && 'there is no Python with clickhouse-connect (see above)';

let store: StoreProcess;
before(async () => {
  if (interpreter === null) return;
  store = await startStore({ dataDir: await newDataDir() });
});
after(async () => {
  if (interpreter === null) return;
  await store.stop();
  await removeDataDir(store.dataDir);
});

async function run(body: string): Promise<void> {
  const script = `import clickhouse_connect\nc = clickhouse_connect.get_client(host='127.0.0.1', port=${store.port})\n${body}`;
  const child = spawn(interpreter!, ['-c', script], { stdio: ['ignore', 'inherit', 'pipe'] });
  let errors = '';
  child.stderr.on('data', (chunk) => {
    errors += chunk;
  });
  await once(child, 'close');
  assert.equal(child.exitCode, 0, errors);
}

test('clickhouse-connect queries with parameters and settings', { skip }, () =>
  run(`
assert c.query('SELECT number FROM numbers(3)').result_rows == [(0,), (1,), (2,)]
text = "it's\\t\\n\\\\ ☃"
assert c.query('SELECT {x:UInt32}, {s:String}', parameters={'x': 3, 's': text}).result_rows == [(3, text)]
assert c.query("SELECT getSetting('max_threads')", settings={'max_threads': 1}).result_rows == [(1,)]
assert c.command('SELECT 42') == 42
f = clickhouse_connect.get_client(host='127.0.0.1', port=${store?.port}, form_encode_query_params=True)
assert f.query('SELECT {x:UInt32}', parameters={'x': 3}).result_rows == [(3,)]
`),
);

test('clickhouse-connect inserts with every compression it has, and streams', { skip }, () =>
  run(`
c.command('CREATE TABLE py (a UInt32, s String, m Map(String, Float64), lc LowCardinality(String)) ENGINE = MergeTree ORDER BY a')
for n, compress in enumerate(['lz4', 'zstd', 'gzip', False]):
    d = clickhouse_connect.get_client(host='127.0.0.1', port=${store?.port}, compress=compress)
    done = d.insert('py', [[i, f's{i}', {'x': 1.5}, 'z'] for i in range(10000)], column_names=['a', 's', 'm', 'lc'])
    assert done.written_rows == 10000, done.written_rows
    rows = 0
    with d.query_row_block_stream('SELECT * FROM py') as stream:
        for block in stream: rows += len(block)
    assert rows == 10000 * (n + 1), rows
c.raw_insert('py', ['a', 's'], b'7,"x"\\n', fmt='CSV')
assert c.query('SELECT * FROM py WHERE a = 1 LIMIT 1').result_rows == [(1, 's1', {'x': 1.5}, 'z')]
`),
);

test('clickhouse-connect tells errors by their code', { skip }, () =>
  run(`
try:
    c.query('SELECT * FROM nope')
    raise AssertionError('no error')
except clickhouse_connect.driver.exceptions.DatabaseError as e:
    assert 'Code: 60' in str(e) and 'UNKNOWN_TABLE' in str(e), str(e)
`),
);

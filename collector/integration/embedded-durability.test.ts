import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { failToStart, newDataDir, removeDataDir, startStore } from './embedded-harness.js';

test('tables of the database default survive a restart and a kill -9', async () => {
  const dataDir = await newDataDir();
  try {
    let store = await startStore({ dataDir });
    await store.sql('CREATE TABLE events (a UInt32) ENGINE = MergeTree ORDER BY a');
    await store.sql('CREATE DATABASE own');
    await store.sql('CREATE VIEW v AS SELECT count() AS n FROM events');
    await store.sql('INSERT INTO events VALUES (1), (2)');
    assert.equal(await store.stop(), 0);
    store = await startStore({ dataDir });
    assert.equal(await store.sql('SELECT n FROM v'), '2\n');
    // A write may be under way when the process is killed; what was answered is there, whole.
    let answered = 0;
    const writing = (async () => {
      for (;;) {
        await store.sql(`INSERT INTO events SELECT number FROM numbers(1000)`);
        answered += 1;
      }
    })().catch(() => {});
    while (answered < 5) await new Promise((done) => setImmediate(done));
    await store.kill();
    await writing;
    store = await startStore({ dataDir });
    const rows = Number(await store.sql('SELECT count() FROM events'));
    assert.ok(rows >= 2 + answered * 1000, `${rows} rows, ${answered} INSERTs answered`);
    assert.equal((rows - 2) % 1000, 0);
    assert.match(await store.sql('SHOW DATABASES'), /own/);
    await store.stop();
  } finally {
    await removeDataDir(dataDir);
  }
});

test('what a power loss must not take is fsynced before an INSERT is answered', async () => {
  const dataDir = await newDataDir();
  const store = await startStore({ dataDir });
  try {
    const names =
      "'fsync_after_insert','fsync_part_directory','min_rows_to_fsync_after_merge','min_compressed_bytes_to_fsync_after_merge','merge_selector_base'";
    assert.equal(
      await store.sql(
        `SELECT name, value FROM system.merge_tree_settings WHERE name IN (${names}) ORDER BY name`,
      ),
      'fsync_after_insert\t1\nfsync_part_directory\t1\nmerge_selector_base\t16\nmin_compressed_bytes_to_fsync_after_merge\t1\nmin_rows_to_fsync_after_merge\t1\n',
    );
    await store.sql('CREATE TABLE t (a UInt32) ENGINE = MergeTree ORDER BY a');
    const syncs = async (): Promise<number[]> => {
      const text = await store.sql(
        "SELECT sumIf(value, event = 'FileSync'), sumIf(value, event = 'DirectorySync') FROM system.events",
      );
      return text.trim().split('\t').map(Number);
    };
    const [files, directories] = await syncs();
    await store.sql('INSERT INTO t VALUES (1)');
    const [filesAfter, directoriesAfter] = await syncs();
    assert.ok(filesAfter! > files!, 'files');
    assert.ok(directoriesAfter! > directories!, 'directories');
    assert.equal(
      await store.sql("SELECT count() FROM system.tables WHERE database = 'system' AND name LIKE '%\\_log'"),
      '0\n',
    );
    assert.equal(
      await store.sql("SELECT getSetting('async_insert'), getSetting('implicit_select')"),
      'false\tfalse\n',
    );
  } finally {
    await store.stop();
    await removeDataDir(dataDir);
  }
});

test('a second store on the same directory is refused, and the first goes on', async () => {
  const dataDir = await newDataDir();
  const store = await startStore({ dataDir });
  try {
    await store.sql('CREATE TABLE t (a UInt32) ENGINE = MergeTree ORDER BY a');
    const error = await failToStart(dataDir);
    assert.equal(error.code, 'data_directory_locked', error.message);
    assert.match(error.message, new RegExp(dataDir));
    await store.sql('INSERT INTO t VALUES (1)');
    assert.equal(await store.sql('SELECT count() FROM t'), '1\n');
  } finally {
    await store.stop();
    await removeDataDir(dataDir);
  }
});

test('a port in use and a directory that cannot be written are named', async () => {
  const dataDir = await newDataDir();
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const { port } = server.address() as { port: number };
    const inUse = await failToStart(dataDir, port);
    assert.equal(inUse.code, 'address_in_use');
    assert.match(inUse.message, new RegExp(String(port)));
    const file = join(dataDir, 'file');
    await writeFile(file, '');
    const below = await failToStart(join(file, 'data'));
    assert.equal(below.code, 'data_directory_unusable');
    if (process.getuid?.() !== 0) {
      const closed = join(dataDir, 'closed');
      await mkdir(closed);
      await chmod(closed, 0o500);
      assert.equal((await failToStart(closed)).code, 'data_directory_unusable');
    }
    const pattern = await failToStart(join(dataDir, 'a{b}'));
    assert.equal(pattern.code, 'data_directory_unusable');
  } finally {
    server.close();
    await removeDataDir(dataDir);
  }
});

/**
 * The tables: versioned SQL files, applied in order and once each, and a check that `events` can be
 * written. Plain SQL goes through ClickHouse's own client.
 */
import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { type ClickHouseClient, ClickHouseLogLevel, createClient } from '@clickhouse/client';
import type { StoreAddress } from './clickhouse.js';

/** Where the versioned SQL files lie, beside the compiled code as beside the source. */
const schemaFolder = fileURLToPath(new URL('../../schema/', import.meta.url));

export type SchemaOutcome =
  | { readonly kind: 'ready'; readonly applied: readonly string[] }
  /** The table is there and cannot take what the collector writes. */
  | { readonly kind: 'mismatch'; readonly problem: string }
  /** ClickHouse cannot be reached, or does not let us. */
  | { readonly kind: 'unavailable'; readonly problem: string };

export interface Column {
  readonly name: string;
  readonly type: string;
}

/** Applies what is missing of the schema and checks `events` against `columns`. Safe to call at any time. */
export async function prepareSchema(
  address: StoreAddress,
  columns: readonly (readonly [name: string, type: string])[],
  timeoutMs: number,
): Promise<SchemaOutcome> {
  const client = openClient(address, timeoutMs);
  try {
    await createDatabase(address, timeoutMs);
    // Before anything is applied: views over a table of another shape would fail with a lesser message.
    const before = await readColumns(client);
    const problem = before.length === 0 ? '' : compareColumns(columns, before);
    if (problem !== '') return { kind: 'mismatch', problem };
    const applied = await applyMigrations(client, await hasAllTables(client));
    const after = compareColumns(columns, await readColumns(client));
    return after === '' ? { kind: 'ready', applied } : { kind: 'mismatch', problem: after };
  } catch (error) {
    return { kind: 'unavailable', problem: error instanceof Error ? error.message : String(error) };
  } finally {
    await client.close();
  }
}

/** ClickHouse's own client for a store's address. */
export function openClient(address: StoreAddress, timeoutMs: number): ClickHouseClient {
  return createClient({
    url: address.url,
    database: address.database,
    request_timeout: timeoutMs,
    keep_alive: { enabled: false },
    // Every failure is an outcome here, told once by whoever asked.
    log: { level: ClickHouseLogLevel.OFF },
    clickhouse_settings: { wait_end_of_query: 1 },
  });
}

/** The client's own database may not exist yet, so this goes through one that names none. */
async function createDatabase(address: StoreAddress, timeoutMs: number): Promise<void> {
  if (address.database === 'default') return;
  const client = openClient({ ...address, database: 'default' }, timeoutMs);
  try {
    await client.command({ query: `CREATE DATABASE IF NOT EXISTS ${quote(address.database)}` });
  } finally {
    await client.close();
  }
}

/** What the files of the schema make. */
const tables = ['events', 'producers', 'losses', 'quarantine', 'runs', 'sequence_gaps'] as const;

/** Whether all tables and views are there; one may have been dropped after it was made. */
async function hasAllTables(client: ClickHouseClient): Promise<boolean> {
  const rows = await client.query({
    query:
      'SELECT name FROM system.tables WHERE database = currentDatabase() AND name IN {tables:Array(String)}',
    query_params: { tables },
    format: 'JSONEachRow',
  });
  return (await rows.json()).length === tables.length;
}

/** Applies the files that are not recorded as done; all of them, which is harmless, if `isComplete` is false. */
async function applyMigrations(client: ClickHouseClient, isComplete: boolean): Promise<string[]> {
  await client.command({
    query: `CREATE TABLE IF NOT EXISTS sluice_migrations (name String, applied_at DateTime DEFAULT now())
            ENGINE = MergeTree ORDER BY name SETTINGS fsync_after_insert = 1`,
  });
  const rows = await client.query({ query: 'SELECT name FROM sluice_migrations', format: 'JSONEachRow' });
  const done = new Set((await rows.json<{ name: string }>()).map(({ name }) => name));
  const applied: string[] = [];
  for (const file of (await readdir(schemaFolder)).filter((name) => name.endsWith('.sql')).sort()) {
    if (isComplete && done.has(file)) continue;
    for (const query of splitStatements(await readFile(schemaFolder + file, 'utf8'))) {
      await client.command({ query });
    }
    await client.insert({ table: 'sluice_migrations', values: [{ name: file }], format: 'JSONEachRow' });
    applied.push(file);
  }
  return applied;
}

/** Statements end with a semicolon at the end of a line; lines of comment between them are dropped. */
export function splitStatements(sql: string): string[] {
  return sql
    .split(/;[ \t]*(?:\r?\n|$)/)
    .map((statement) => statement.replace(/^(?:\s*--[^\n]*(?:\n|$))+/, '').trim())
    .filter((statement) => statement !== '');
}

async function readColumns(client: ClickHouseClient): Promise<Column[]> {
  const rows = await client.query({
    query: "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = 'events'",
    format: 'JSONEachRow',
  });
  return rows.json<Column>();
}

/** What is wrong with the table, or nothing. Columns that the collector does not write are none of its business. */
export function compareColumns(
  wanted: readonly (readonly [name: string, type: string])[],
  found: readonly Column[],
): string {
  const types = new Map(found.map(({ name, type }) => [name, type]));
  for (const [name, type] of wanted) {
    const actual = types.get(name);
    if (actual === undefined) {
      return `the table events has no column ${name}; it must be ${type}. Add it: ALTER TABLE events ADD COLUMN ${name} ${type}`;
    }
    if (actual !== type) {
      return `the column ${name} of the table events is ${actual}; it must be ${type}. Change it: ALTER TABLE events MODIFY COLUMN ${name} ${type}, or write to another database`;
    }
  }
  return '';
}

function quote(identifier: string): string {
  return `\`${identifier.replaceAll('\\', '\\\\').replaceAll('`', '\\`')}\``;
}

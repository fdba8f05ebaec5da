/**
 * The engine alone, configured as in the embedded store, with nothing before it: what the store needs
 * for the rows themselves.
 */
import { readdir, readFile } from 'node:fs/promises';
import { type Engine, type EngineConnection, openEngine } from '@sluice/collector/embedded/engine.js';
import { writeEngineConfig } from '@sluice/collector/embedded/engine-config.js';
import { eventsColumns } from '@sluice/collector/encode/encode-segment.js';
import { embeddedLimits } from '@sluice/collector/limits.js';
import { insertSettings } from '@sluice/collector/store/batch-inserter.js';
import { splitStatements } from '@sluice/collector/store/schema.js';
import { ownUsage } from '../measure/usage.js';
import type { EngineCalls } from './protocol.js';
import { serve } from './serve.js';

const schemaFolder = new URL('../schema/', import.meta.resolve('@sluice/collector/collector.js'));
const columns = eventsColumns.map(([name]) => name).join(', ');
/** Those of the collector: one block in, one part out. */
const settings = Object.entries(insertSettings)
  .map(([name, value]) => `${name} = ${value}`)
  .join(', ');

let engine: Engine | undefined;
let connection: EngineConnection | undefined;

async function run(statement: string): Promise<string> {
  if (connection === undefined) throw new Error('start comes first');
  const outcome = await connection.run(statement, 'TabSeparated');
  if (!outcome.ok) throw new Error(`${outcome.exception.message} in: ${statement.slice(0, 200)}`);
  return outcome.bytes.toString('utf8');
}

const calls: EngineCalls = {
  async start({ dataDir }) {
    engine = await openEngine(dataDir, await writeEngineConfig(dataDir, embeddedLimits));
    connection = engine.connect();
    for (const file of (await readdir(schemaFolder)).filter((name) => name.endsWith('.sql')).sort()) {
      for (const statement of splitStatements(await readFile(new URL(file, schemaFolder), 'utf8'))) {
        await run(statement);
      }
    }
    return { version: engine.version };
  },
  async insert(file) {
    // A token of its own, as every batch has.
    const token = file.replaceAll(/[^0-9a-z-]/g, '');
    await run(
      `INSERT INTO events (${columns}) FROM INFILE '${file}' COMPRESSION 'none'
       SETTINGS ${settings}, insert_deduplication_token = '${token}' FORMAT Native`,
    );
  },
  sql: run,
  usage: async () => ownUsage(),
  async stop() {
    await connection?.close();
    await engine?.close();
  },
};
serve(calls);

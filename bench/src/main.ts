/** The bench's process: asks one question, shows the table on stderr, ends stdout with one line of JSON. */
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Command, help, parseCommand } from './command-line.js';
import { readProfiles } from './measure/profile.js';
import { ingest } from './questions/ingest.js';
import type { IngestResult } from './questions/ingest-result.js';
import { aligned, ingestTable } from './questions/ingest-table.js';
import { BenchRun } from './run/bench-run.js';

/** A start, a warm-up and two waits for merges, then no slower than this many events a second. */
const baseDeadlineMs = 180_000;
const slowestEventsPerSecond = 20_000;

async function answer(command: Command): Promise<IngestResult> {
  const deadlineMs = baseDeadlineMs + (command.events / slowestEventsPerSecond) * 1000;
  const run = await BenchRun.open({ deadlineMs });
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    process.once(signal, () => {
      console.error(`\n${signal}: ending the bench's processes`);
      void run.close().finally(() => process.exit(code));
    });
  }
  try {
    return await Promise.race([ingest(command, run), run.failed]);
  } finally {
    await run.close();
  }
}

function showProfiles(directory: string): void {
  for (const role of readdirSync(directory)) {
    for (const [file, { busyUs, functions }] of readProfiles(join(directory, role))) {
      console.error(`\n${role}, ${file}: busy ${(busyUs / 1e6).toFixed(2)} s`);
      const rows = functions
        .slice(0, 15)
        .map(({ name, share }) => [name, `${(share * 100).toFixed(1)}`, '%'] as const);
      console.error(aligned(rows));
    }
  }
}

async function main(): Promise<number> {
  let command: Command | 'help';
  try {
    command = parseCommand(process.argv.slice(2));
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${help}`);
    return 2;
  }
  if (command === 'help') {
    console.log(help);
    return 0;
  }
  const result = await answer(command);
  console.error(`\n${ingestTable(result)}\n`);
  if (command.profileDirectory !== undefined) showProfiles(command.profileDirectory);
  const line = JSON.stringify(result);
  if (command.jsonFile !== undefined) writeFileSync(command.jsonFile, `${line}\n`);
  console.log(line);
  if (result.stored === result.events && result.duplicated === 0) return 0;
  console.error('bench: what is stored is not what was acknowledged');
  return 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`bench: ${(error as Error).message}`);
  process.exitCode = 1;
}

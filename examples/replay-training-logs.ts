/**
 * Replays a folder of training logs: every non-empty line becomes one event, every file one run.
 *
 *     npx tsx examples/replay-training-logs.ts DIR [--endpoint HOST:PORT] [--project NAME]
 *
 * Numbers become metrics (training-log-line.ts says how), the line itself is the event's body. Files are read faster than they are sent, so the reader waits for acknowledgments: nothing is
 * dropped, and memory stays bounded. Exits 1 if an event was not acknowledged.
 */
import { readdirSync, statSync } from 'node:fs';
import { join, parse } from 'node:path';
import { parseArgs } from 'node:util';
import { createLogger, type Logger } from '@sluice/sdk';
import { linesOf } from './text-lines.js';
import { parseTrainingLogLine } from './training-log-line.js';

/** Events, and bytes of them in memory, after which the reader waits. */
const flushEvents = 5000;
const flushBytes = 8 * 1024 * 1024;
/** How long it waits for a collector that does not answer. */
const patienceMs = 60_000;
/** A longer line is cut: an event may have 1 MiB. */
const lineChars = 250_000;

interface Counts {
  readonly run: string;
  readonly lines: number;
  readonly logged: number;
  readonly acknowledged: number;
  readonly dropped: number;
  /** Rejected by the collector, or with a field that could not be encoded. */
  readonly damaged: number;
}

const usage = 'usage: replay-training-logs DIR [--endpoint HOST:PORT] [--project NAME]';

async function main(): Promise<number> {
  const given = readArguments();
  if (given === undefined) return 2;
  const results: Counts[] = [];
  for (const name of listFiles(given.folder)) {
    const path = join(given.folder, name);
    const skipped = await reasonToSkip(path);
    if (skipped !== undefined) {
      console.log(`skipped ${name}: ${skipped}`);
      continue;
    }
    results.push(await replay(path, given));
  }
  return report(results);
}

function readArguments(): { folder: string; endpoint: string | undefined; project: string } | undefined {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: { endpoint: { type: 'string' }, project: { type: 'string' }, help: { type: 'boolean' } },
    });
    const [folder] = positionals;
    if (folder === undefined || positionals.length > 1 || values.help === true)
      throw new Error('give one folder');
    if (!statSync(folder).isDirectory()) throw new Error(`${folder} is not a folder`);
    const project = values.project ?? process.env['SLUICE_PROJECT'] ?? 'training-logs';
    return { folder, endpoint: values.endpoint, project };
  } catch (error) {
    console.error(`replay: ${(error as Error).message}\n${usage}`);
    return undefined;
  }
}

function listFiles(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => !name.startsWith('.') && statSync(join(folder, name)).isFile())
    .sort();
}

/** A .log is taken whatever its text; another file if it tells of a step. */
async function reasonToSkip(path: string): Promise<string | undefined> {
  const isLog = path.endsWith('.log');
  for await (const { text: line } of linesOf(path, lineChars)) {
    if (line.includes('\0')) return 'not a text file';
    if (isLog || parseTrainingLogLine(line).step !== undefined) return undefined;
  }
  return isLog ? undefined : 'no line tells of a step';
}

async function replay(path: string, to: { endpoint: string | undefined; project: string }): Promise<Counts> {
  const run = parse(path).name;
  const log = createLogger({ endpoint: to.endpoint, project: to.project, run, job: 'train' });
  let lines = 0;
  for await (const { text, cut } of linesOf(path, lineChars)) {
    if (text.trim() === '') continue;
    lines++;
    const { name, step, timeMs, metrics } = parseTrainingLogLine(text);
    const fields = cut > 0 ? { ...metrics, line_chars_cut: cut } : metrics;
    log.event(name, fields, { step, time: timeMs, body: text });
    // stats() makes an object, so not after every event.
    if (lines % flushEvents === 0 || (lines % 100 === 0 && log.stats().bufferedBytes > flushBytes)) {
      showProgress(`${run}: ${lines} lines`);
      await acknowledged(log);
    }
  }
  await acknowledged(log);
  await log.close();
  showProgress('');
  const stats = log.stats();
  return {
    run,
    lines,
    logged: stats.logged,
    acknowledged: stats.acknowledged,
    dropped: sum(Object.values(stats.dropped)),
    damaged: stats.rejected + stats.fieldErrors,
  };
}

/** Waits until everything logged so far is on the collector's disk. */
async function acknowledged(log: Logger): Promise<void> {
  const giveUpMs = performance.now() + patienceMs;
  while (!(await log.flush({ timeoutMs: 5000 })).acknowledged) {
    const { lastError, bufferedEvents } = log.stats();
    const problem = `${bufferedEvents} events wait; the collector does not acknowledge them: ${lastError ?? 'no answer'}`;
    if (performance.now() > giveUpMs)
      throw new Error(`${problem}. Is one running there? Start it with: npx sluice up`);
    console.error(`replay: ${problem}; trying again`);
  }
}

function report(results: readonly Counts[]): number {
  const titles = ['run', 'lines', 'logged', 'acknowledged'];
  const rows = results.map(({ run, lines, logged, acknowledged: acked }) =>
    [run, lines, logged, acked].map(String),
  );
  const widths = titles.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  for (const row of [titles, ...rows]) {
    console.log(
      row
        .map((cell, column) =>
          column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join('  '),
    );
  }
  const total = (of: (counts: Counts) => number): number => sum(results.map(of));
  const [lines, logged, acked, dropped, damaged] = [
    total((counts) => counts.lines),
    total((counts) => counts.logged),
    total((counts) => counts.acknowledged),
    total((counts) => counts.dropped),
    total((counts) => counts.damaged),
  ];
  if (results.length === 0) console.error('replay: no training log in this folder');
  if (damaged > 0)
    console.error(`replay: ${damaged} events were rejected or lost a field; SQL: SELECT * FROM losses`);
  console.log(`replay: files=${results.length} logged=${logged} acknowledged=${acked} dropped=${dropped}`);
  return results.length > 0 && lines === logged && logged === acked && dropped === 0 && damaged === 0 ? 0 : 1;
}

/** One line that is written over; nothing where it would only fill a file. */
function showProgress(text: string): void {
  if (process.stdout.isTTY) process.stdout.write(`\r\x1b[K${text}`);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, number) => all + number, 0);
}

main().then(
  (exitCode) => {
    process.exitCode = exitCode;
  },
  (error: unknown) => {
    console.error(`replay: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(1);
  },
);

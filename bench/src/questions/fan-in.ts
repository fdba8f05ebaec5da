/**
 * Question: what does it cost that the same load comes from many producers?
 *
 * Hypothesis: a producer costs a connection, a call a second and smaller messages, and no more: 1,000 producers
 * reach at least 60 % of the rate that 10 reach (`thousand_to_ten`; 0.61 to 0.64 on 2026-11-28), and the collector's
 * memory grows by kilobytes a producer (to 245 MiB with 100, 387 with 1,000): docs/PERFORMANCE.md says of what.
 *
 * Method: 1, 10, 100 and 1,000 loggers, each a producer with a connection of its own, spread over up to 4 processes.
 * Each process logs as fast as it may to its loggers in turn, 20 events at a time or more, so that the offered load is
 * always the same: without limit. It pauses while its loggers together hold 64 MiB unacknowledged (32 MiB if there is
 * one): more than what so many calls of up to a second carry, and too little for any to drop. `resends` are requests
 * that the collector refused because it had too much to take. Collector, store and processes are fresh for each number,
 * because memory peaks are those of a whole life. The warm-up of 6 s also opens the connections, and lets each process compile its code. Rates end as in
 * `ingest`: with the last acknowledgment, and when SQL counts all. CPU is counted until the merges are done.
 */
import { join } from 'node:path';
import { type Answer, given, type Options, type Question } from '../question.js';
import type { BenchRun } from '../run/bench-run.js';
import { loadProblem, type MeasuredLoad, measureLoad } from '../run/measured-load.js';
import { removeParts } from '../run/parts.js';
import { fanInResult, fanInTable } from './fan-in-result.js';

const producerCounts = [1, 10, 100, 1000] as const;
const mostProcesses = 4;
const mib = 1024 * 1024;
const warmup = { seconds: 6 };

export const fanIn: Question = {
  name: 'fan-in',
  asks: '1, 10, 100 and 1,000 producers at the same total load: rate, CPU and memory of the collector',
  defaults: { seconds: 10 },
  takesProfile: false,
  deadlineMs: (options) => producerCounts.length * (120_000 + given(options, 'seconds') * 10_000),
  ask,
};

async function ask(options: Options, run: BenchRun): Promise<Answer> {
  const cases: { producers: number; measured: MeasuredLoad }[] = [];
  for (const producers of producerCounts) {
    const parts = {
      directory: join(run.directory, `producers-${producers}`),
      processes: Math.min(producers, mostProcesses),
      loggers: producers,
      bufferedBytes: (producers === 1 ? 32 : 64) * mib,
      sdk: { run: 'fan-in', workload: { kind: 'training' }, encoding: undefined },
    } as const;
    const load = { seconds: given(options, 'seconds') };
    const label = `producers: ${producers}`;
    cases.push({ producers, measured: await measureLoad(run, { ...parts, label, warmup, load }) });
    await removeParts(parts);
  }
  const result = fanInResult(given(options, 'seconds'), cases);
  return {
    result,
    table: fanInTable(result),
    engineVersion: cases[0]!.measured.engineVersion,
    problem: cases.map(({ measured }) => loadProblem(measured)).find((problem) => problem !== undefined),
  };
}

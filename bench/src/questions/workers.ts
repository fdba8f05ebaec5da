/**
 * Question: what do two collector processes cost on a machine whose cores are busy already?
 *
 * Hypothesis: on two cores that SDKs and store share, a second worker brings no rate, and costs none: the way of an
 * event is the same, and the ownership of producers is asked for once a connection. So `two_to_one` is about 1.
 *
 * Method: `fan-in`'s load from 8 producers in 4 processes, once with `workers: 1` and once with 2, in turn, each
 * pair twice and the other way round; collector, store and processes are fresh each time. CPU and memory of the collector are those of the
 * primary and its workers together. `two_to_one` compares the means of the stored rate.
 */
import { join } from 'node:path';
import { mib, perSecond, round } from '../measure/figures.js';
import { type Answer, given, type Options, type Question } from '../question.js';
import type { BenchRun } from '../run/bench-run.js';
import { loadProblem, type MeasuredLoad, measureLoad } from '../run/measured-load.js';
import { removeParts } from '../run/parts.js';
import { columns, grouped } from '../table.js';
import { cpuPerEvent, rounded } from './ingest-result.js';

const turns = [1, 2, 2, 1] as const;
const producers = 8;
const processes = 4;

export const workers: Question = {
  name: 'workers',
  asks: 'one collector process against two, for the same producers',
  defaults: { seconds: 10 },
  takesProfile: false,
  deadlineMs: (options) => turns.length * (120_000 + given(options, 'seconds') * 10_000),
  ask,
};

async function ask(options: Options, run: BenchRun): Promise<Answer> {
  const seconds = given(options, 'seconds');
  const cases: { workers: number; measured: MeasuredLoad }[] = [];
  for (const [turn, count] of turns.entries()) {
    const parts = {
      directory: join(run.directory, `turn-${turn}`),
      processes,
      loggers: producers,
      bufferedBytes: 32 * 1024 * 1024,
      workers: count,
      sdk: { run: 'workers', workload: { kind: 'training' }, encoding: undefined },
    } as const;
    const label = `workers: ${count}`;
    const measured = await measureLoad(run, { ...parts, label, warmup: { seconds: 3 }, load: { seconds } });
    cases.push({ workers: count, measured });
    await removeParts(parts);
  }
  const result = workersResult(seconds, cases);
  const table = columns(
    ['workers', 'stored/s', 'acknowledged/s', 'collector µs/event', 'collector MiB'],
    result.cases.map((one) => [
      String(one.workers),
      grouped(one.events_per_second),
      grouped(one.acknowledged_events_per_second),
      one.cpu_us_per_event.collector.toFixed(2),
      one.collector_rss_peak_mib.toFixed(0),
    ]),
  );
  return {
    result,
    table: `${table}\n\nstored with 2 ÷ stored with 1: ${result.two_to_one.toFixed(2)}`,
    engineVersion: cases[0]!.measured.engineVersion,
    problem: cases.map(({ measured }) => loadProblem(measured)).find((problem) => problem !== undefined),
  };
}

function workersResult(seconds: number, cases: readonly { workers: number; measured: MeasuredLoad }[]) {
  const rate = ({ events, visibleMs, startMs }: MeasuredLoad): number =>
    perSecond(events, visibleMs - startMs);
  const middle = (count: number): number => {
    const rates = cases.filter(({ workers }) => workers === count).map(({ measured }) => rate(measured));
    return rates.reduce((sum, one) => sum + one, 0) / rates.length;
  };
  return {
    question: 'workers' as const,
    seconds,
    producers,
    two_to_one: round(middle(2) / middle(1), 2),
    cases: cases.map(({ workers, measured }) => ({
      workers,
      events: measured.events,
      stored: measured.stored,
      duplicated: measured.duplicated,
      events_per_second: rate(measured),
      acknowledged_events_per_second: perSecond(measured.events, measured.acknowledgedMs - measured.startMs),
      cpu_us_per_event: rounded(cpuPerEvent(measured)),
      collector_rss_peak_mib: mib(measured.collector.after.rssPeakBytes),
    })),
  };
}

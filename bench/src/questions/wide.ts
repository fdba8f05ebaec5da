/**
 * Question: does an event cost more when a fleet uses many different keys?
 *
 * Hypothesis (design, section 3): numbers in one map and texts in another cost the same whatever the number of
 * distinct keys, so `hundred_to_five` is near 1; what grows is the number of shapes in a request.
 *
 * Method: 5, 25, 100 and 500 distinct keys over all events. Each event has 4 metrics and 1 attribute, and each name five
 * keys of its own (wide-events.ts), so there are 1, 5, 20 and 100 names, in turn. For each number fresh processes
 * with their defaults, a warm-up of 3 s, then events as fast as they are acknowledged, as in `ingest`. CPU is that of
 * whole processes until the merges are done; the SDK's includes making the events, the same for every number.
 */
import { join } from 'node:path';
import { type Answer, given, type Options, type Question } from '../question.js';
import type { BenchRun } from '../run/bench-run.js';
import { loadProblem, type MeasuredLoad, measureLoad } from '../run/measured-load.js';
import { removeParts } from '../run/parts.js';
import { wideResult, wideTable } from './wide-result.js';

const keyCounts = [5, 25, 100, 500] as const;
const warmup = { seconds: 3 };
const bufferedBytes = 24 * 1024 * 1024;

export const wide: Question = {
  name: 'wide',
  asks: '5, 25, 100 and 500 distinct keys: CPU of an event and rate',
  defaults: { seconds: 12, producers: 1 },
  takesProfile: false,
  deadlineMs: (options) => keyCounts.length * (120_000 + given(options, 'seconds') * 10_000),
  ask,
};

async function ask(options: Options, run: BenchRun): Promise<Answer> {
  const producers = given(options, 'producers');
  const load = { seconds: given(options, 'seconds') };
  const cases: { keys: number; measured: MeasuredLoad }[] = [];
  for (const keys of keyCounts) {
    const parts = {
      directory: join(run.directory, `keys-${keys}`),
      processes: producers,
      loggers: producers,
      bufferedBytes,
      sdk: { run: 'wide', workload: { kind: 'wide', keys }, encoding: undefined },
    } as const;
    cases.push({
      keys,
      measured: await measureLoad(run, { ...parts, label: `keys: ${keys}`, warmup, load }),
    });
    await removeParts(parts);
  }
  const result = wideResult({ producers, seconds: load.seconds, cases });
  return {
    result,
    table: wideTable(result),
    engineVersion: cases[0]!.measured.engineVersion,
    problem: cases.map(({ measured }) => loadProblem(measured)).find((problem) => problem !== undefined),
  };
}

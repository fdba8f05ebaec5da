/**
 * Question: how long after the log call is an event safe, and how long until SQL shows it, from an idle to a nearly
 * saturated system?
 *
 * Hypothesis: with the SDK's batching, an acknowledgment takes up to the age of a request and a call (1.2 s) when
 * there is little load, `flush()` a few milliseconds; SQL shows an event within about 2 s at any rate below the peak.
 *
 * Method: the peak is measured first, by an unthrottled burst of 8 s whose rate is that of stored events, or is given
 * by --peak. Then 10, 50 and 90 % of it, each for --seconds: SDK processes log small bursts every 5 ms. Beside them a
 * process of its own (probe-process.ts) logs at random moments and takes the time from each log call:
 * - `acknowledged`: a logger with default batching, until its own `stats()` shows the event acknowledged; looked at
 *   every millisecond.
 * - `flushed`: another logger, one event and then `await flush()`.
 * - `visible`, `flushed_visible`: until SQL shows them; looked at every 20 ms through the sorting key, which costs
 *   the store some CPU of its own. An event counts as visible once all of its producer's up to it are.
 * The first second of a load is not probed, and the load goes on while the last probes are answered.
 * `reached_events_per_second` is what the load really was: on a busy machine less than asked for.
 */
import { join } from 'node:path';
import { perSecond, sum } from '../measure/figures.js';
import type { ProbeCalls } from '../processes/protocol.js';
import { type Answer, given, type Options, type Question } from '../question.js';
import type { BenchRun } from '../run/bench-run.js';
import { committedEvents, logAll, waitForCommitted } from '../run/load.js';
import { type Parts, project, startParts, stopParts } from '../run/parts.js';
import { sql } from '../run/store-sql.js';
import { type LevelMeasurements, latencyProblem, latencyResult, latencyTable } from './latency-result.js';

const percents = [10, 50, 90] as const;
const warmup = { events: 500_000 };
const burst = { seconds: 8 };
const bufferedBytes = 24 * 1024 * 1024;
/** Before the first probe, and for the answers to the last ones. */
const leadSeconds = 1;
const tailSeconds = 3;

export const latency: Question = {
  name: 'latency',
  asks: 'log call to acknowledged, and to visible in SQL, at 10, 50 and 90 % of the peak rate',
  defaults: { seconds: 15, producers: 1, peak: undefined },
  takesProfile: false,
  deadlineMs: (options) => 240_000 + percents.length * (given(options, 'seconds') + 60) * 1000,
  ask,
};

async function ask(options: Options, run: BenchRun): Promise<Answer> {
  const producers = given(options, 'producers');
  run.step('starting the store, the collector and the SDK');
  const parts = await startParts(run, {
    directory: join(run.directory, 'parts'),
    processes: producers,
    loggers: producers,
    bufferedBytes,
    sdk: { run: 'latency', workload: { kind: 'training' }, encoding: undefined },
  });
  run.step('warming up');
  await logAll(parts, warmup);
  await sql(parts.storeUrl, 'TRUNCATE TABLE events');
  const peak = options.peak ?? (await measurePeak(parts, run));

  const levels: LevelMeasurements[] = [];
  for (const percent of percents) {
    const level = {
      percent,
      offered: Math.round((peak * percent) / 100),
      seconds: given(options, 'seconds'),
    };
    run.step(`${percent} % of the peak: ${level.offered.toLocaleString('en-US')} events/s`);
    levels.push(await measureLevel(parts, run, level));
  }
  const engineVersion = (await sql(parts.storeUrl, 'SELECT version()')).trim();
  run.step('stopping');
  await stopParts(parts);

  const result = latencyResult({ peak, isPeakMeasured: options.peak === undefined, producers, levels });
  return { result, table: latencyTable(result), engineVersion, problem: latencyProblem(levels) };
}

async function measurePeak(parts: Parts, run: BenchRun): Promise<number> {
  run.step(`the peak: as fast as possible for ${burst.seconds} s`);
  const logged = await logAll(parts, burst);
  return perSecond(logged.events, logged.visibleMs - logged.startMs);
}

async function measureLevel(
  parts: Parts,
  run: BenchRun,
  { percent, offered, seconds }: { percent: number; offered: number; seconds: number },
): Promise<LevelMeasurements> {
  const { sdks, endpoint, storeUrl } = parts;
  const committedBefore = await committedEvents(parts);
  const probe = run.start<ProbeCalls>({ role: 'probe', entry: 'probe-process.js' });
  await probe.ask('start', { endpoint, storeUrl, project, run: `probe-${percent}` });
  const pace = {
    eventsPerSecond: offered / sdks.length,
    seconds: leadSeconds + seconds + tailSeconds,
  };
  const pacing = Promise.all(sdks.map((sdk) => sdk.ask('pace', pace)));
  // Awaited below; a process that is lost rejects both.
  pacing.catch(() => {});
  await new Promise((resolve) => setTimeout(resolve, leadSeconds * 1000));
  const times = await probe.ask('probe', { seconds });
  const paced = await pacing;
  const outcomes = await Promise.all(sdks.map((sdk) => sdk.ask('flush')));
  await probe.stop();
  const acknowledged = sum(outcomes.map((outcome) => outcome.acknowledged));
  await waitForCommitted(parts, committedBefore + acknowledged);
  const pacedMs =
    Math.max(...paced.map(({ loggedMs }) => loggedMs)) - Math.min(...paced.map(({ startMs }) => startMs));
  return {
    percent,
    offered,
    reached: perSecond(acknowledged, pacedMs),
    dropped: sum(outcomes.map(({ dropped }) => dropped)),
    times,
  };
}

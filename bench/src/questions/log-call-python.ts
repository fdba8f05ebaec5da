/**
 * Question: how long is a job in Python held up by one log call of 5 fields and a step, whatever the collector does,
 * beside what people use instead; how much does an event a step slow a training down; and how many events does one
 * process sustain?
 *
 * Hypothesis (issue "the Python SDK"): p50 at most 3 µs and p99 at most 20 µs with the collector up, down and hung; a
 * fifth of OpenTelemetry's and of wandb's call, or less; a step rate that differs by less than 1 %; 150,000 events/s.
 *
 * Method: for each case a fresh Python process (bench/python/job.py) makes --calls log calls (in --seconds at most), in
 * bursts of 20 with a pause of 1 ms after each, so that requests are sealed, sent and acknowledged between them and the
 * threads of the subject get the interpreter's lock: up to 20,000 events/s. The values are made before the clock is
 * read; `time.perf_counter_ns()` is read right before and right after the call. What two readings with nothing between
 * them give, and a method that does nothing, are reported and not subtracted. 2,000 calls before are not recorded.
 * - Sluice, with the SDK's defaults: `up` with the real collector and the embedded store, `down` with a port at which
 *   nothing listens, `hung` with a real HTTP/2 server that takes the call and never reads it (hung-server-process.ts),
 *   `full` and `full_down` after the buffer of 64 MiB was filled in these: every call is then a drop.
 * - `logging`: the standard library's, to a file. `opentelemetry`: its SDK's logger, with the batch processor and the
 *   exporter of OTLP over gRPC, defaults: `up` with a server that takes everything and keeps nothing, `down`, `hung`.
 *   Its queue of 2,048 records drops silently beyond that. `wandb`: offline mode, an eighth of the calls, because each
 *   takes so much longer.
 *
 * Step rate: steps of a small network in NumPy of about 10 ms and of about 3 ms (most of it outside of the interpreter's
 * lock, on one core, as a training step on a GPU is), and of 2 ms of pure Python (which holds it), with an event after
 * each and without, in turns of 0.5 s (0.25 s) whose order alternates; reported is the median over pairs. Sluice's
 * collector and store work on the same machine. `nothing` shows what the comparison itself is worth.
 *
 * Sustained: one process logs for 10 s as fast as events are acknowledged (it pauses while more than 24 MiB are not), with
 * events that are made meanwhile; `events_per_second` counts until the last acknowledgment. SQL counts what is stored.
 */
import { join } from 'node:path';
import type { Child } from '../processes/child.js';
import type {
  HungServerCalls,
  LogCallPythonCalls,
  PythonCallTimes,
  PythonStep,
  PythonSubject,
  StepRate,
} from '../processes/protocol.js';
import { type Answer, given, type Options, type Question } from '../question.js';
import type { BenchRun } from '../run/bench-run.js';
import { freePort } from '../run/free-port.js';
import { startCollecting } from '../run/parts.js';
import { numbersOf, sql } from '../run/store-sql.js';
import {
  type Case,
  logCallPythonProblem,
  logCallPythonResult,
  logCallPythonTable,
} from './log-call-python-result.js';

const clockCalls = 200_000;
const fillSeconds = 180;
const sustainSeconds = 10;
const stepTurns = {
  numpy: { pairs: 40, turnSeconds: 0.5 },
  numpy_short: { pairs: 60, turnSeconds: 0.25 },
  python: { pairs: 60, turnSeconds: 0.25 },
} as const;
const ownSteps = ['numpy', 'numpy_short', 'python'] as const;
const otherSteps = ['numpy', 'numpy_short'] as const;
/** wandb's calls take so much longer. */
const wandbShare = 1 / 8;
const storedTimeoutMs = 60_000;

const scripts = new URL('../../../scripts/python.mjs', import.meta.url).href;
const folder = new URL('../../python/', import.meta.url).pathname;

export const logCallPython: Question = {
  name: 'log-call-python',
  asks: 'the same in Python, beside logging, OpenTelemetry and wandb; step rate; events/s of one process',
  defaults: { calls: 100_000, seconds: 120 },
  takesProfile: false,
  deadlineMs: (options) => 900_000 + (11 * given(options, 'seconds') + 2 * fillSeconds) * 1000,
  ask,
};

async function ask(options: Options, run: BenchRun): Promise<Answer> {
  const { benchPython } = (await import(scripts)) as { benchPython(): string | null };
  const python = benchPython();
  if (python === null) throw new Error('there is no Python for this question; see above');
  const wanted = { calls: given(options, 'calls'), mostSeconds: given(options, 'seconds') };
  const cases = new Map<Case, PythonCallTimes>();
  const stepRates: Record<string, StepRate> = {};

  const time = async (job: Child<LogCallPythonCalls>, name: Case, calls = wanted.calls): Promise<void> => {
    run.step(`${name}: ${calls.toLocaleString('en-US')} calls`);
    cases.set(name, await job.ask('time', { ...wanted, calls }));
  };
  const start = async (
    subject: PythonSubject,
    endpoint = '',
    runId = 'paced',
  ): Promise<Child<LogCallPythonCalls>> => {
    const job = run.start<LogCallPythonCalls>({
      role: `job (${subject})`,
      entry: { program: python, arguments: [join(folder, 'job.py')] },
      // One core for the step: the others belong to the collector, as a GPU would be another place.
      env: { OMP_NUM_THREADS: '1', OPENBLAS_NUM_THREADS: '1' },
    });
    await job.ask('start', { subject, endpoint, run: runId, directory: join(run.directory, subject) });
    return job;
  };
  const stepRate = async (
    job: Child<LogCallPythonCalls>,
    name: string,
    steps: readonly PythonStep[],
  ): Promise<void> => {
    for (const step of steps) {
      run.step(`step rate: ${name}, ${step}`);
      stepRates[`${name}_${step}`] = await job.ask('stepRate', { step, ...stepTurns[step] });
    }
  };

  run.step('starting the store and the collector');
  const collecting = await startCollecting(run, { directory: join(run.directory, 'parts') });
  const up = await start('sluice', collecting.endpoint);
  await time(up, 'sluice up');
  await stepRate(up, 'sluice', ownSteps);
  const { acknowledged } = await up.ask('flush');
  await up.stop();

  run.step('sustained');
  const sustaining = await start('sluice', collecting.endpoint, 'sustained');
  await sustaining.ask('flush');
  const sustained = await sustaining.ask('sustain', { seconds: sustainSeconds });
  const stored = await storedOf(collecting.storeUrl, 'sustained', sustained.acknowledged);
  await sustaining.stop();
  const engineVersion = (await sql(collecting.storeUrl, 'SELECT version()')).trim();
  await collecting.collector.stop();
  await collecting.store.stop();

  const nothing = await start('nothing');
  const clock = await nothing.ask('clock', { calls: clockCalls });
  await time(nothing, 'nothing');
  await stepRate(nothing, 'nothing', ownSteps);
  await nothing.stop();

  const down = await start('sluice', `127.0.0.1:${await freePort()}`);
  await time(down, 'sluice down');
  run.step('sluice down: filling the buffer');
  const isDownFull = await down.ask('fill', { mostSeconds: fillSeconds });
  await time(down, 'sluice full_down');
  await down.kill();

  const server = run.start<HungServerCalls>({ role: 'hung server', entry: 'hung-server-process.js' });
  const { endpoint } = await server.ask('start');
  const hung = await start('sluice', endpoint);
  await time(hung, 'sluice hung');
  run.step('sluice hung: filling the buffer');
  const isHungFull = await hung.ask('fill', { mostSeconds: fillSeconds });
  await time(hung, 'sluice full');
  await hung.kill();

  const logging = await start('logging');
  await time(logging, 'logging');
  await stepRate(logging, 'logging', otherSteps);
  await logging.stop();

  const otlp = run.start<HungServerCalls>({
    role: 'OTLP server',
    entry: { program: python, arguments: [join(folder, 'otlp_server.py')] },
  });
  const { endpoint: otlpEndpoint } = await otlp.ask('start');
  const endpoints = { up: otlpEndpoint, down: `127.0.0.1:${await freePort()}`, hung: endpoint };
  for (const state of ['up', 'down', 'hung'] as const) {
    const job = await start('opentelemetry', endpoints[state]);
    await time(job, `opentelemetry ${state}`);
    if (state === 'up') await stepRate(job, 'opentelemetry', otherSteps);
    // Its end would wait for the exporter.
    await job.kill();
  }
  await otlp.kill();
  await server.kill();

  const wandb = await start('wandb');
  await time(wandb, 'wandb offline', Math.ceil(wanted.calls * wandbShare));
  await stepRate(wandb, 'wandb', otherSteps);
  await wandb.kill();

  const measured = {
    cases,
    clock: clock.ns,
    stepRates,
    sustained,
    stored,
  };
  const result = logCallPythonResult(measured);
  const problem = logCallPythonProblem(measured, {
    acknowledged,
    full: isDownFull.full && isHungFull.full,
  });
  return { result, table: logCallPythonTable(result), engineVersion, problem };
}

/** Rows of a run's only producer and duplicates among them, once there are so many or it takes too long. */
async function storedOf(
  storeUrl: string,
  runId: string,
  least: number,
): Promise<{ events: number; duplicated: number }> {
  const query = `SELECT count(), count() - groupBitmap(sequence) FROM events WHERE run_id = '${runId}'`;
  const untilMs = performance.now() + storedTimeoutMs;
  for (;;) {
    const [events = 0, duplicated = 0] = numbersOf(await sql(storeUrl, query));
    if (events >= least || performance.now() > untilMs) return { events, duplicated };
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

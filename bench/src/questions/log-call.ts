/**
 * Question: how long is a job held up by one `log.event()` call of 4 metrics, 1 attribute and a step,
 * whatever the collector does, and how much does the call allocate?
 *
 * Hypothesis (design, promise 1): a call takes about a microsecond at the median and a few at p99, and it takes the
 * same with the collector up, down and hung, and less once the buffer is full.
 *
 * Method: for each state a fresh process with the SDK's defaults makes --calls log calls (in --seconds at most), in
 * bursts of 20 with a timer's turn (1 ms) after each, so that requests are sealed, sent and acknowledged between them,
 * up to 20,000 events/s. The event is made before the clock is read; `performance.now()` is read right before and right
 * after the call. What two readings with nothing between them give is reported as `clock`, and not subtracted. 20,000
 * calls before are not recorded. The first call of a burst finds cold caches, and it is a twentieth of all: p99 is its.
 * p99.9 and max hold what the machine does at that moment as well: garbage collection, other processes.
 * - `up`: the real collector with the embedded store.
 * - `down`: nothing listens at the endpoint.
 * - `hung`: a real HTTP/2 server accepts the call and never reads it (hung-server-process.ts), so the SDK's call is
 *   open, full and without an answer.
 * - `full`, `full_down`: the processes of `hung` and `down`, after they have logged on until the buffer
 *   of 64 MiB was full; every call is then a drop.
 *
 * Allocation: a process of its own, collector up, with --expose-gc and a young generation of 128 MiB. Before each sample
 * two full collections; then 2,000 calls with events made before and no turn between, a few MiB, so no collection can
 * happen within a sample. Counted is the growth of `heapUsed` and of `external` (array buffers included): what the
 * calls themselves allocate, sealed requests included, without the sending, which happens in the turns.
 */
import { join } from 'node:path';
import type { Child } from '../processes/child.js';
import type { CallTimes, HungServerCalls, LogCallCalls } from '../processes/protocol.js';
import { type Answer, given, type Options, type Question } from '../question.js';
import type { BenchRun } from '../run/bench-run.js';
import { freePort } from '../run/free-port.js';
import { startCollecting } from '../run/parts.js';
import { sql } from '../run/store-sql.js';
import { logCallProblem, logCallResult, logCallTable, type State } from './log-call-result.js';

const allocation = { samples: 100, callsPerSample: 2000 };
const clockCalls = 1_000_000;
/** 64 MiB are some 600,000 events, as fast as they can be encoded. */
const fillSeconds = 120;

export const logCall: Question = {
  name: 'log-call',
  asks: 'how long one log call takes with the collector up, down, hung, and what it allocates',
  defaults: { calls: 200_000, seconds: 120 },
  takesProfile: false,
  deadlineMs: (options) => 120_000 + (5 * given(options, 'seconds') + 2 * fillSeconds) * 1000,
  ask,
};

async function ask(options: Options, run: BenchRun): Promise<Answer> {
  const wanted = { calls: given(options, 'calls'), mostSeconds: given(options, 'seconds') };
  const states = new Map<State, CallTimes>();
  const time = async (process: Child<LogCallCalls>, state: State): Promise<void> => {
    run.step(`${state}: ${wanted.calls.toLocaleString('en-US')} calls`);
    states.set(state, await process.ask('time', wanted));
  };

  run.step('starting the store and the collector');
  const collecting = await startCollecting(run, { directory: join(run.directory, 'parts') });
  const up = await startJob(run, 'up', collecting.endpoint);
  const clock = await up.ask('clock', { calls: clockCalls });
  await time(up, 'up');
  const { acknowledged } = await up.ask('flush');
  await up.stop();

  run.step('allocation');
  const nodeArguments = ['--expose-gc', '--min-semi-space-size=128', '--max-semi-space-size=128'];
  const allocating = await startJob(run, 'allocating', collecting.endpoint, nodeArguments);
  const allocated = await allocating.ask('allocate', allocation);
  await allocating.stop();
  const engineVersion = (await sql(collecting.storeUrl, 'SELECT version()')).trim();
  await collecting.collector.stop();
  await collecting.store.stop();

  const down = await startJob(run, 'down', `127.0.0.1:${await freePort()}`);
  await time(down, 'down');
  const isDownFull = await down.ask('fill', { mostSeconds: fillSeconds });
  await time(down, 'full_down');
  await down.kill();

  const server = run.start<HungServerCalls>({ role: 'hung server', entry: 'hung-server-process.js' });
  const { endpoint } = await server.ask('start');
  const hung = await startJob(run, 'hung', endpoint);
  await time(hung, 'hung');
  const isHungFull = await hung.ask('fill', { mostSeconds: fillSeconds });
  await time(hung, 'full');
  await hung.kill();
  await server.kill();

  const result = logCallResult({ states, clock, allocated });
  const problem = logCallProblem(states, {
    acknowledged,
    full: isDownFull.full && isHungFull.full,
  });
  return { result, table: logCallTable(result), engineVersion, problem };
}

async function startJob(
  run: BenchRun,
  state: string,
  endpoint: string,
  nodeArguments: readonly string[] = [],
): Promise<Child<LogCallCalls>> {
  const job = run.start<LogCallCalls>({
    role: `job (${state})`,
    entry: 'log-call-process.js',
    nodeArguments,
  });
  await job.ask('start', { endpoint });
  return job;
}

/**
 * The worker thread: encoding and inserting, away from the thread that receives and acknowledges.
 * Its messages stand in commit-thread.ts.
 */

import { parentPort, workerData } from 'node:worker_threads';
import { type CommitOutcome, Committer } from './commit.js';
import type { FromWorker, ToWorker, WorkerSetup } from './commit-thread.js';
import { eventsColumns, SegmentEncoder } from './encode/encode-segment.js';
import { SegmentIndex } from './encode/segment-index.js';
import { armFaults } from './fault-points.js';
import { innerLimits } from './limits.js';
import { openLog } from './process-log.js';
import { SegmentSource } from './segment-source.js';
import { BatchInserter, sleep } from './store/batch-inserter.js';
import { BisectionAllowance } from './store/bisection-allowance.js';
import { ClickHouse } from './store/clickhouse.js';
import { prepareSchema } from './store/schema.js';
import type { SealedSegment } from './wal/log.js';
import { DirectoryStorage } from './wal/storage.js';

if (parentPort === null) throw new Error('commit-worker.js runs as a worker thread only');
const port = parentPort;
const setup = workerData as WorkerSetup;
armFaults(setup.faults);
const log = openLog(setup.logLevel).child({
  stage: 'store',
  ...(setup.worker !== undefined && { worker: setup.worker }),
});
const stop = new AbortController();
const clickhouse = new ClickHouse(setup.store, setup.limits);
const inserter = new BatchInserter(clickhouse, setup.limits, log, stop.signal);
const source = new SegmentSource(new DirectoryStorage(setup.walDirectory), setup.segmentBytes);
const index = new SegmentIndex(setup.segmentEvents);
const knownProducers = new Set<string>();
const allowance = new BisectionAllowance(setup.limits.bisectionInserts);
const queue: SealedSegment[] = [];
let wake: (() => void) | undefined;
let draining = false;

const post = (message: FromWorker): void => port.postMessage(message);

port.on('message', (message: ToWorker) => {
  if (message.kind === 'segment') queue.push(message.segment);
  else if (message.kind === 'drain') draining = true;
  else stop.abort();
  wakeAll();
});

function wakeAll(): void {
  const resolve = wake;
  wake = undefined;
  resolve?.();
}

/** One lane commits one segment after the other; a few lanes overlap encoding and inserting. */
async function runLane(): Promise<void> {
  const encoder = new SegmentEncoder(index, setup.segmentEvents);
  const committer = new Committer({ source, encoder, index, inserter, log, knownProducers, allowance });
  while (!stop.signal.aborted) {
    const segment = queue.shift();
    if (segment === undefined) {
      if (draining) return;
      const previous = wake;
      await new Promise<void>((resolve) => {
        wake = () => {
          previous?.();
          resolve();
        };
      });
      continue;
    }
    const outcome = await commitOrKeep(committer, segment);
    if (outcome.kind === 'stopped') return;
    post({ kind: 'outcome', segmentId: segment.id, outcome });
  }
}

/**
 * A file that cannot be read now is tried again. One that breaks our own code again and again is kept
 * aside with an error: ending the process instead would break it at every start, and hold up all others.
 */
async function commitOrKeep(committer: Committer, segment: SealedSegment): Promise<CommitOutcome> {
  let delayMs = setup.limits.retryInitialMs;
  let breaks = 0;
  // A try that broke off in the middle leaves as much in doubt as a process that died.
  for (let recovered = segment.recovered; !stop.signal.aborted; recovered = true) {
    try {
      return await committer.commit({ ...segment, recovered });
    } catch (error) {
      const isSystemError = error instanceof Error && 'syscall' in error;
      if (!isSystemError && ++breaks === innerLimits.commit.breaks) {
        log.error({ err: error, segment: segment.id }, 'a segment cannot be committed; giving it up');
        return committer.giveUp(segment, `it cannot be committed: ${String(error)}`);
      }
      log.warn({ err: error, segment: segment.id }, 'a segment cannot be committed now; trying again');
      await sleep(delayMs, stop.signal);
      delayMs = Math.min(delayMs * 2, setup.limits.retryMaxMs);
    }
  }
  return { kind: 'stopped' };
}

/** Without its tables nothing can be inserted: tries until they are there, or the process stops. */
async function waitForSchema(): Promise<void> {
  let delayMs = setup.limits.retryInitialMs;
  for (let tries = 1; !stop.signal.aborted; tries++) {
    const outcome = await prepareSchema(setup.store, eventsColumns, setup.limits.queryTimeoutMs);
    if (outcome.kind === 'ready') {
      if (tries > 1 || outcome.applied.length > 0)
        log.info({ applied: outcome.applied, tries }, 'the store is ready');
      return;
    }
    if (draining) {
      stop.abort();
      return;
    }
    if (tries === 1 || tries % 10 === 0) {
      log.warn(
        { problem: outcome.problem, tries },
        'the store is not ready; events stay in the write-ahead log, and this is tried again',
      );
    }
    await sleep(delayMs, stop.signal);
    delayMs = Math.min(delayMs * 2, setup.limits.retryMaxMs);
  }
}

await waitForSchema();
await Promise.all(Array.from({ length: setup.limits.segmentsInFlight }, runLane));
await clickhouse.close();
post({ kind: 'finished' });
port.close();

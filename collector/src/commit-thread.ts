/** The main thread's side of the worker that commits segments. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { CommitOutcome } from './commit.js';
import type { FaultPlan } from './fault-points.js';
import { holdYoungGeneration } from './heap-flags.js';
import type { StoreLimits } from './limits.js';
import type { StoreAddress } from './store/clickhouse.js';
import type { SealedSegment } from './wal/log.js';

export interface WorkerSetup {
  readonly walDirectory: string;
  readonly store: StoreAddress;
  readonly limits: StoreLimits;
  /** Size of a full segment, to make room for. */
  readonly segmentEvents: number;
  readonly segmentBytes: number;
  readonly logLevel: string;
  /** Whose log it is, where there are several. */
  readonly worker?: number | undefined;
  /** For the fault suite alone. */
  readonly faults: FaultPlan | undefined;
}

export type ToWorker =
  | { readonly kind: 'segment'; readonly segment: SealedSegment }
  /** Finish what is queued, then end. */
  | { readonly kind: 'drain' }
  /** End as soon as may be; what is not committed stays in the log. */
  | { readonly kind: 'stop' };

export type FromWorker =
  | { readonly kind: 'outcome'; readonly segmentId: string; readonly outcome: CommitOutcome }
  | { readonly kind: 'finished' };

export class CommitThread {
  readonly #setup: WorkerSetup;
  readonly #onOutcome: (segmentId: string, outcome: CommitOutcome) => void;
  readonly #onCrash: (error: Error) => void;
  #worker: Worker | undefined;
  #stopping: Promise<void> | undefined;
  #finished = false;

  constructor(options: {
    setup: WorkerSetup;
    onOutcome: (segmentId: string, outcome: CommitOutcome) => void;
    /** A bug in the worker: the process must end, and the log replays. */
    onCrash: (error: Error) => void;
  }) {
    this.#setup = options.setup;
    this.#onOutcome = options.onOutcome;
    this.#onCrash = options.onCrash;
  }

  start(): void {
    const worker = new Worker(new URL('./commit-worker.js', import.meta.url), {
      workerData: this.#setup,
      name: 'sluice-commit',
      // The worker's data lies outside V8's heap; a young generation of the default size only costs memory.
      resourceLimits: { maxYoungGenerationSizeMb: 8 },
    });
    this.#worker = worker;
    // V8 has set what is held back to its default for all threads.
    worker.once('online', holdYoungGeneration);
    worker.on('message', (message: FromWorker) => {
      if (message.kind === 'finished') this.#finished = true;
      else this.#onOutcome(message.segmentId, message.outcome);
    });
    worker.on('error', (error) => this.#onCrash(error instanceof Error ? error : new Error(String(error))));
    worker.on('exit', () => {
      if (!this.#finished) this.#onCrash(new Error('the commit worker ended by itself'));
    });
  }

  commit(segment: SealedSegment): void {
    this.#send({ kind: 'segment', segment });
  }

  /** Lets the worker finish what is queued for up to `flushMs`; what is left stays in the log. */
  stop(flushMs: number): Promise<void> {
    this.#stopping ??= this.#stop(flushMs);
    return this.#stopping;
  }

  async #stop(flushMs: number): Promise<void> {
    const worker = this.#worker;
    if (worker === undefined || this.#finished) return;
    const exited = once(worker, 'exit');
    this.#send({ kind: 'drain' });
    const deadline = setTimeout(() => this.#send({ kind: 'stop' }), flushMs);
    // An INSERT in flight may take its whole timeout; the log has its segment, so the wait is bounded.
    const patience = setTimeout(() => {
      this.#finished = true;
      void worker.terminate();
    }, flushMs + 2000);
    await exited;
    clearTimeout(deadline);
    clearTimeout(patience);
  }

  #send(message: ToWorker): void {
    this.#worker?.postMessage(message);
  }
}

/**
 * One life of one worker, as its primary sees it.
 *
 * Invariants:
 * 1. What it says counts until its end is known, and never afterwards.
 * 2. What is said to it before it listens would be lost, so `listening` is awaited first.
 */
import cluster, { type Worker as ClusterWorker } from 'node:cluster';
import { SluiceError } from '../errors.js';
import { Outbox } from '../ownership/mail.js';
import type { FromWorker, ToWorker } from './messages.js';

type Step = 'listening' | 'opened' | 'serving';

interface Awaited {
  readonly step: Step;
  readonly resolve: (port: number) => void;
  readonly reject: (error: Error) => void;
}

export interface LifeOptions {
  readonly worker: number;
  /** Takes what the worker says, but for the steps of its start. */
  readonly onMessage: (message: FromWorker) => void;
  readonly onEnd: (how: string) => void;
}

export class WorkerLife {
  readonly worker: number;
  readonly outbox = new Outbox((letters) => this.tell({ kind: 'letters', letters }));
  readonly startedMs = performance.now();
  readonly ended: Promise<void>;
  readonly #process: ClusterWorker;
  #isOver = false;
  #failure: SluiceError | undefined;
  #awaited: Awaited | undefined;

  /** Forks the worker. */
  constructor({ worker, onMessage, onEnd }: LifeOptions) {
    this.worker = worker;
    this.#process = cluster.fork();
    this.#process.on('message', (message: FromWorker) => {
      if (!this.#isOver && !this.#takeStep(message)) onMessage(message);
    });
    // Its channel may break before its end is known; that follows.
    this.#process.on('error', () => undefined);
    this.ended = new Promise((resolve) => {
      this.#process.once('exit', (code, signal) => {
        this.#isOver = true;
        this.#disappoint();
        resolve();
        onEnd(signal ?? `exit code ${code}`);
      });
    });
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Resolves when it has taken a step of its start, to the port that it serves; rejects if it ends before. */
  reaches(step: Step): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#awaited = { step, resolve, reject };
      if (this.#isOver) this.#disappoint();
    });
  }

  tell(message: ToWorker): void {
    // One that has just died says nothing any more; its end is handled where it is known.
    if (!this.#isOver && this.#process.isConnected()) this.#process.send(message, () => undefined);
  }

  /** Asks it to end, and ends it if it takes longer than `patienceMs`. */
  async stop(patienceMs: number): Promise<void> {
    if (this.#isOver) return;
    // One that does not listen yet has begun nothing.
    if (this.#awaited?.step === 'listening') this.#process.process.kill('SIGKILL');
    else this.tell({ kind: 'stop' });
    const patience = setTimeout(() => this.#process.process.kill('SIGKILL'), patienceMs);
    await this.ended;
    clearTimeout(patience);
  }

  #takeStep(message: FromWorker): boolean {
    if (message.kind === 'failed') this.#failure = new SluiceError(message.code, message.message);
    const awaited = this.#awaited;
    if (awaited?.step !== message.kind) return false;
    this.#awaited = undefined;
    awaited.resolve(message.kind === 'serving' ? message.port : 0);
    return true;
  }

  #disappoint(): void {
    this.#awaited?.reject(
      this.#failure ??
        new SluiceError('worker_ended', `worker ${this.worker} ended while it started; its log is above`),
    );
  }
}

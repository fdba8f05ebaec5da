/**
 * The primary of a collector with several workers. No event passes it, nor a connection: it holds the port's
 * handle, on which the workers accept, decides which worker may append for which producer, and keeps the workers alive.
 *
 * Invariants:
 * 1. Workers let calls in once all of them have opened their logs; see OwnershipTable for what is granted when.
 * 2. A life's messages count until its end is known, and never afterwards: what a dead worker's log has is told
 *    by the next life that has read it.
 * 3. A worker that dies is started again, with growing delays; one that dies again and again ends the collector.
 * 4. After `stop` there is no worker. If the primary dies, its workers end at once.
 */
import cluster, { type Worker as ClusterWorker } from 'node:cluster';
import { fileURLToPath } from 'node:url';
import type { Config } from '../config.js';
import { SluiceError } from '../errors.js';
import type { FaultPlan } from '../fault-points.js';
import { innerLimits } from '../limits.js';
import { decodeLetters, Outbox, reasons } from '../ownership/mail.js';
import { type Instruction, OwnershipTable } from '../ownership/ownership-table.js';
import type { Logger } from '../process-log.js';
import { fixedAddress } from './fixed-port.js';
import type { FromWorker, ToWorker } from './messages.js';
import { type CollectorCounters, newCounters } from './pipeline.js';

const { restartDelayMs, healthyMs, quickDeaths, stopGraceMs } = innerLimits.workers;

interface Expected {
  readonly kind: 'listening' | 'opened' | 'serving';
  readonly resolve: (port: number) => void;
  readonly reject: (error: Error) => void;
}

/** One life of one worker. */
interface Life {
  readonly index: number;
  readonly process: ClusterWorker;
  readonly outbox: Outbox;
  readonly startedMs: number;
  readonly exited: Promise<void>;
  isOver: boolean;
  failure: SluiceError | undefined;
  expected: Expected | undefined;
  counted: CollectorCounters;
}

export interface PrimaryOptions {
  readonly config: Config;
  readonly logger: Logger;
  readonly onCrash: (error: Error) => void;
  readonly counters: CollectorCounters;
  readonly faults?: FaultPlan | undefined;
}

export class Primary {
  readonly #options: PrimaryOptions;
  readonly #table: OwnershipTable;
  readonly #lives: (Life | undefined)[] = [];
  /** By worker: how often it has died in a row without having lived long. */
  readonly #deaths: number[] = [];
  readonly #restarts = new Set<NodeJS.Timeout>();
  #address = '';
  #isServing = false;
  #stopping: Promise<void> | undefined;

  constructor(options: PrimaryOptions) {
    this.#options = options;
    this.#table = new OwnershipTable({
      workers: options.config.workers,
      producers: options.config.wal.producers,
      instruct: (instruction) => this.#post(instruction),
    });
  }

  /** Resolves to the gRPC port. Rejects with a SluiceError that says what to do. */
  async start(): Promise<number> {
    const { workers, grpc } = this.#options.config;
    this.#address = await fixedAddress(grpc.address);
    // Each worker accepts by itself. Node's round robin loses connections: one that is on its way to a worker
    // that dies stays open with nobody behind it, and its client waits.
    cluster.schedulingPolicy = cluster.SCHED_NONE;
    cluster.setupPrimary({
      exec: fileURLToPath(new URL('./worker-process.js', import.meta.url)),
      args: [],
      serialization: 'advanced',
    });
    try {
      // The first one alone makes the tables.
      await this.#open(0, this.#options.faults);
      await Promise.all(
        Array.from({ length: workers - 1 }, (_, index) => this.#open(index + 1, this.#options.faults)),
      );
      const ports = await Promise.all(this.#lives.map((life) => this.#serve(life as Life)));
      this.#isServing = true;
      return ports[0] as number;
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    for (const restart of this.#restarts) clearTimeout(restart);
    const { callsMs, flushMs } = this.#options.config.stop;
    await Promise.all(
      this.#lives.map(async (life) => {
        if (life === undefined || life.isOver) return;
        // One that does not listen yet has begun nothing.
        if (life.expected?.kind === 'listening') life.process.process.kill('SIGKILL');
        else tell(life, { kind: 'stop' });
        const patience = setTimeout(
          () => life.process.process.kill('SIGKILL'),
          callsMs + flushMs + stopGraceMs,
        );
        await life.exited;
        clearTimeout(patience);
      }),
    );
  }

  /** Starts a worker; resolves once its logs are open. */
  async #open(index: number, faults?: FaultPlan): Promise<Life> {
    const { config } = this.#options;
    const life = this.#launch(index);
    await this.#expect(life, 'listening');
    const opened = this.#expect(life, 'opened');
    const share = {
      ...config,
      grpc: { address: this.#address },
      wal: { ...config.wal, diskBytes: Math.max(1, Math.floor(config.wal.diskBytes / config.workers)) },
    };
    tell(life, { kind: 'start', worker: index, config: share, faults });
    await opened;
    return life;
  }

  #serve(life: Life): Promise<number> {
    const serving = this.#expect(life, 'serving');
    tell(life, { kind: 'serve' });
    return serving;
  }

  #expect(life: Life, kind: Expected['kind']): Promise<number> {
    return new Promise((resolve, reject) => {
      life.expected = { kind, resolve, reject };
      if (life.isOver) this.#disappoint(life);
    });
  }

  #disappoint({ expected, failure, index }: Life): void {
    expected?.reject(
      failure ?? new SluiceError('worker_ended', `worker ${index} ended while it started; its log is above`),
    );
  }

  #launch(index: number): Life {
    const worker = cluster.fork();
    let end = (): void => undefined;
    const life: Life = {
      index,
      process: worker,
      outbox: new Outbox((letters) => tell(life, { kind: 'letters', letters })),
      startedMs: performance.now(),
      exited: new Promise((resolve) => {
        end = resolve;
      }),
      isOver: false,
      failure: undefined,
      expected: undefined,
      counted: newCounters(),
    };
    this.#lives[index] = life;
    worker.on('message', (message: FromWorker) => {
      if (!life.isOver) this.#hear(life, message);
    });
    // Its channel may break before its end is known; that follows.
    worker.on('error', () => undefined);
    worker.once('exit', (code, signal) => {
      life.isOver = true;
      end();
      this.#table.ended(index);
      this.#disappoint(life);
      if (this.#isServing && this.#stopping === undefined)
        this.#restartLater(life, signal ?? `exit code ${code}`);
    });
    return life;
  }

  #restartLater(life: Life, how: string): void {
    const { index } = life;
    const { logger, onCrash } = this.#options;
    const deaths = performance.now() - life.startedMs >= healthyMs ? 1 : (this.#deaths[index] ?? 0) + 1;
    this.#deaths[index] = deaths;
    if (deaths > quickDeaths) {
      onCrash(new Error(`worker ${index} has ended ${deaths} times in a row, at last by ${how}`));
      return;
    }
    const waitMs = Math.min(restartDelayMs.first * 2 ** (deaths - 1), restartDelayMs.most);
    logger.error({ worker: index, reason: how, waitMs }, 'a worker has ended; starting it again');
    const restart = setTimeout(() => {
      this.#restarts.delete(restart);
      // A failure is an end, and handled there.
      this.#open(index)
        .then((next) => this.#serve(next))
        .then(
          () => logger.info({ worker: index }, 'the worker is back'),
          () => undefined,
        );
    }, waitMs);
    this.#restarts.add(restart);
  }

  #hear(life: Life, message: FromWorker): void {
    switch (message.kind) {
      case 'letters':
        this.#read(life.index, message.letters);
        return;
      case 'read':
        this.#table.read(life.index);
        return;
      case 'listening':
      case 'opened':
      case 'serving': {
        const { expected } = life;
        if (expected?.kind !== message.kind) return;
        life.expected = undefined;
        expected.resolve(message.kind === 'serving' ? message.port : 0);
        return;
      }
      case 'failed':
        life.failure = new SluiceError(message.code, message.message);
        this.#options.logger.error({ worker: life.index, problem: message.message }, 'a worker cannot start');
        return;
      case 'counters':
        this.#count(life, message.counters);
        return;
    }
  }

  #read(worker: number, letters: Buffer): void {
    for (const { kind, key, number } of decodeLetters(letters)) {
      if (kind === 'claim') this.#table.claim(worker, key);
      else if (kind === 'released') this.#table.released(worker, key, number);
      else if (kind === 'found') this.#table.found(worker, [{ key, sequence: number }]);
      else if (kind === 'forgotten') this.#table.forgotten(worker, key);
    }
  }

  #post(instruction: Instruction): void {
    const life = this.#lives[instruction.worker];
    if (life === undefined || life.isOver) return;
    switch (instruction.kind) {
      case 'grant':
        life.outbox.put('grant', instruction.key, instruction.sequence);
        return;
      case 'refuse':
        life.outbox.put('refuse', instruction.key, reasons.indexOf(instruction.reason));
        return;
      case 'release':
        life.outbox.put('release', instruction.key);
        return;
      case 'forget_idle':
        life.outbox.put('forget_idle', '');
        return;
    }
  }

  #count(life: Life, counted: CollectorCounters): void {
    const { counters } = this.#options;
    for (const name of Object.keys(counters) as (keyof CollectorCounters)[]) {
      counters[name] += counted[name] - life.counted[name];
    }
    life.counted = { ...counted };
  }
}

function tell(life: Life, message: ToWorker): void {
  // One that has just died says nothing any more; its end is handled where it is known.
  if (!life.isOver && life.process.isConnected()) life.process.send(message, () => undefined);
}

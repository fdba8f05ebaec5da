/**
 * The primary of a collector with several workers. No event passes it, nor a connection: it holds the port's
 * handle, on which the workers accept, decides which worker may append for which producer, and keeps the workers
 * alive.
 *
 * Invariants:
 * 1. Workers let calls in once all of them have opened their logs; see OwnershipTable for what is granted when.
 * 2. What a dead worker's log has is told by the next life that has read it, and by nothing else.
 * 3. A worker that dies is started again, with growing delays; one that dies again and again ends the collector.
 * 4. After `stop` there is no worker. If the primary dies, its workers end at once.
 */
import cluster from 'node:cluster';
import { fileURLToPath } from 'node:url';
import type { Config } from '../config.js';
import type { FaultPlan } from '../fault-points.js';
import { innerLimits } from '../limits.js';
import { decodeLetters, reasons } from '../ownership/mail.js';
import { type Instruction, OwnershipTable } from '../ownership/ownership-table.js';
import type { Logger } from '../process-log.js';
import { fixedAddress } from './fixed-port.js';
import type { FromWorker } from './messages.js';
import { type CollectorCounters, newCounters } from './pipeline.js';
import { WorkerLife } from './worker-life.js';

const { restartDelayMs, healthyMs, quickDeaths, stopGraceMs } = innerLimits.workers;

export interface PrimaryOptions {
  readonly config: Config;
  readonly logger: Logger;
  readonly onCrash: (error: Error) => void;
  readonly counters: CollectorCounters;
  /** For the first life of each worker. */
  readonly faults?: FaultPlan | undefined;
}

export class Primary {
  readonly #options: PrimaryOptions;
  readonly #table: OwnershipTable;
  readonly #lives: (WorkerLife | undefined)[] = [];
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
    const { config, faults } = this.#options;
    // Each worker accepts by itself. Node's round robin loses connections: one that is on its way to a worker
    // that dies stays open with nobody behind it, and its client waits.
    cluster.schedulingPolicy = cluster.SCHED_NONE;
    cluster.setupPrimary({
      exec: fileURLToPath(new URL('./worker-process.js', import.meta.url)),
      args: [],
      // What `holdYoungGeneration` does for a collector without workers.
      execArgv: [...process.execArgv, '--max-semi-space-size=4'],
      serialization: 'advanced',
    });
    try {
      this.#address = await fixedAddress(config.grpc.address);
      // The first one alone makes the tables.
      const first = await this.#open(0, faults);
      const others = await Promise.all(
        Array.from({ length: config.workers - 1 }, (_, index) => this.#open(index + 1, faults)),
      );
      const [port] = await Promise.all([first, ...others].map(serve));
      this.#isServing = true;
      return port as number;
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
    await Promise.all(this.#lives.map((life) => life?.stop(callsMs + flushMs + stopGraceMs)));
  }

  /** Starts a worker; resolves once its logs are open. */
  async #open(worker: number, faults?: FaultPlan): Promise<WorkerLife> {
    const { config } = this.#options;
    const life = this.#launch(worker);
    await life.reaches('listening');
    const opened = life.reaches('opened');
    const diskBytes = Math.max(1, Math.floor(config.wal.diskBytes / config.workers));
    const share = { ...config, grpc: { address: this.#address }, wal: { ...config.wal, diskBytes } };
    life.tell({ kind: 'start', worker, config: share, faults });
    await opened;
    return life;
  }

  #launch(worker: number): WorkerLife {
    let counted = newCounters();
    const life = new WorkerLife({
      worker,
      onMessage: (message) => {
        if (message.kind === 'counters') counted = this.#count(counted, message.counters);
        else this.#hear(worker, message);
      },
      onEnd: (how) => {
        this.#table.ended(worker);
        if (this.#isServing && this.#stopping === undefined) this.#restartLater(life, how);
      },
    });
    this.#lives[worker] = life;
    return life;
  }

  #restartLater({ worker, startedMs }: WorkerLife, how: string): void {
    const { logger, onCrash } = this.#options;
    const deaths = performance.now() - startedMs >= healthyMs ? 1 : (this.#deaths[worker] ?? 0) + 1;
    this.#deaths[worker] = deaths;
    if (deaths > quickDeaths) {
      onCrash(new Error(`worker ${worker} has ended ${deaths} times in a row, at last by ${how}`));
      return;
    }
    const waitMs = Math.min(restartDelayMs.first * 2 ** (deaths - 1), restartDelayMs.most);
    logger.error({ worker, reason: how, waitMs }, 'a worker has ended; starting it again');
    const restart = setTimeout(() => {
      this.#restarts.delete(restart);
      // A failure is an end, and handled there.
      this.#open(worker)
        .then(serve)
        .then(
          () => logger.info({ worker }, 'the worker is back'),
          () => undefined,
        );
    }, waitMs);
    this.#restarts.add(restart);
  }

  #hear(worker: number, message: FromWorker): void {
    if (message.kind === 'letters') this.#read(worker, message.letters);
    else if (message.kind === 'read') this.#table.read(worker);
    else if (message.kind === 'failed') {
      this.#options.logger.error({ worker, problem: message.message }, 'a worker cannot start');
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

  /** Adds what a life has done since it last said so. */
  #count(before: CollectorCounters, now: CollectorCounters): CollectorCounters {
    const { counters } = this.#options;
    for (const name of Object.keys(counters) as (keyof CollectorCounters)[]) {
      counters[name] += now[name] - before[name];
    }
    return { ...now };
  }
}

function serve(life: WorkerLife): Promise<number> {
  const serving = life.reaches('serving');
  life.tell({ kind: 'serve' });
  return serving;
}

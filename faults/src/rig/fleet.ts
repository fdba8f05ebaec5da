/** The producers of a run: starts and ends their processes, and keeps account of what they were promised. */
import type { ProducerAccount } from '../oracle/account.js';
import { Child } from '../processes/child.js';
import type {
  AcknowledgmentNotice,
  LoggerFinal,
  LoggerReport,
  ProducerCalls,
  ProducerNotice,
  ProducerSettings,
} from '../processes/protocol.js';
import type { Random } from '../random.js';
import type { ProducerKind } from '../scenario.js';
import { clockOffsetVariable, steppingClock } from './clock.js';
import { within } from './deadline.js';
import { pythonProducer } from './python-producer.js';

const startTimeoutMs = 120_000;

export type FleetOptions = Partial<Omit<ProducerSettings, 'endpoint' | 'run' | 'firstRank' | 'seed'>>;

const defaults = {
  project: 'faults',
  job: 'producer',
  host: 'test-host',
  attempt: 3,
  padBytes: 0,
  lossEvery: 499,
  isPlain: false,
  loggers: 3,
  eventsPerSecond: 6000,
  holdBytes: 0,
  flushEveryMs: 100,
  forkEveryMs: 0,
  sdk: { requestAgeMs: 20, callAgeMs: 60, backoffMinMs: 10, backoffMaxMs: 100 },
} as const satisfies Omit<ProducerSettings, 'endpoint' | 'run' | 'firstRank' | 'seed'>;

/** One producer process. */
export interface Job {
  readonly child: Child<ProducerCalls>;
  readonly producerIds: readonly string[];
}

export class Fleet {
  readonly jobs: Job[] = [];
  readonly violations: string[] = [];
  /** Numbers that a collector had already when they came again: a lost answer that was no loss. */
  duplicates = 0;
  resends = 0;
  kills = 0;
  /** Producers that forks of producers became. */
  forks = 0;
  /** The wall clock of producers that start from now on; undefined: the machine's. */
  clockOffsetMs: number | undefined;
  readonly #accounts = new Map<string, ProducerAccount>();
  readonly #endpoint: string;
  readonly #run: string;
  readonly #random: Random;
  readonly #kind: ProducerKind;
  readonly #options: FleetOptions;
  #nextRank = 1;

  constructor(parts: {
    endpoint: string;
    run: string;
    random: Random;
    kind: ProducerKind;
    options: FleetOptions;
  }) {
    this.#endpoint = parts.endpoint;
    this.#run = parts.run;
    this.#random = parts.random;
    this.#kind = parts.kind;
    this.#options = parts.options;
  }

  get accounts(): ProducerAccount[] {
    return [...this.#accounts.values()];
  }

  get acknowledged(): number {
    return this.accounts.reduce((sum, { acknowledgedThrough }) => sum + acknowledgedThrough, 0);
  }

  /** Starts a process, and its load once its producers are on the books. */
  async start(options: FleetOptions = {}): Promise<Job> {
    const settings: ProducerSettings = {
      ...defaults,
      ...this.#options,
      ...options,
      sdk: { ...defaults.sdk, ...this.#options.sdk, ...options.sdk },
      endpoint: this.#endpoint,
      run: this.#run,
      firstRank: this.#nextRank,
      seed: this.#random.whole(0, 0xffff_ffff),
    };
    this.#nextRank += settings.loggers;
    const child = new Child<ProducerCalls>({
      role: 'producer',
      entry: this.#kind === 'python' ? pythonProducer() : 'producer-process.js',
      onNotice: (notice) => this.#take(notice as ProducerNotice, settings),
      onLost: (how) => this.violations.push(`a producer ended by itself: ${how}`),
      ...(this.clockOffsetMs === undefined
        ? {}
        : {
            nodeArguments: ['--import', steppingClock],
            env: { [clockOffsetVariable]: String(this.clockOffsetMs) },
          }),
    });
    const reports = await within(child.ask('start', settings), startTimeoutMs, 'the start of a producer');
    this.#open(reports, settings);
    const started: Job = { child, producerIds: reports.map(({ producerId }) => producerId) };
    this.jobs.push(started);
    await child.ask('go');
    return started;
  }

  /** SIGKILL; what its SDKs had told us until then stays an obligation. */
  async kill(job: Job): Promise<void> {
    this.kills++;
    this.jobs.splice(this.jobs.indexOf(job), 1);
    await job.child.kill();
  }

  async setRate(eventsPerSecond: number): Promise<void> {
    await Promise.all(this.jobs.map(({ child }) => child.ask('setRate', { eventsPerSecond })));
  }

  /** Ends all loads; everything that was logged must be delivered by then. */
  async finish(timeoutMs = 60_000): Promise<void> {
    await Promise.all(this.jobs.splice(0).map((job) => this.#finish(job, timeoutMs)));
  }

  async killAll(): Promise<void> {
    await Promise.all(this.jobs.splice(0).map(({ child }) => child.kill()));
  }

  async #finish({ child }: Job, timeoutMs: number): Promise<void> {
    if (!child.isAlive) return;
    const finals = await within(
      child.ask('finish', { timeoutMs }),
      timeoutMs + 30_000,
      'the last flush of a producer',
    );
    for (const final of finals) this.#close(final);
    await child.end();
  }

  #take(notice: ProducerNotice, settings: ProducerSettings): void {
    if ('born' in notice) {
      this.forks++;
      this.#open(notice.born, settings);
    } else if ('final' in notice) this.#close(notice.final);
    else if ('violation' in notice) this.violations.push(notice.violation);
    else this.#acknowledge(notice);
  }

  #open(reports: readonly LoggerReport[], settings: ProducerSettings): void {
    const { project, run, job, host, attempt, padBytes, lossEvery, isPlain } = settings;
    const countsCalls = this.#kind === 'python';
    for (const { producerId, rank } of reports) {
      if (this.#accounts.has(producerId)) this.violations.push(`two producers have the id ${producerId}`);
      const identity = {
        producerId,
        project,
        run,
        job,
        host,
        attempt,
        padBytes,
        lossEvery,
        isPlain,
        rank,
        countsCalls,
      };
      this.#accounts.set(producerId, { ...identity, acknowledgedThrough: 0, final: undefined });
    }
  }

  #close(final: LoggerFinal): void {
    const account = this.#accounts.get(final.producerId) as ProducerAccount;
    this.duplicates += final.duplicates;
    this.resends += final.resends;
    if (final.isDelivered) this.#accounts.set(final.producerId, { ...account, final });
    else {
      this.violations.push(
        `producer ${final.producerId} could not deliver in time; its last error: ${final.lastError}`,
      );
    }
  }

  #acknowledge({ producerId, acknowledgedThrough }: AcknowledgmentNotice): void {
    const account = this.#accounts.get(producerId);
    if (account === undefined) throw new Error(`an acknowledgment for ${producerId}, which nobody started`);
    this.#accounts.set(producerId, { ...account, acknowledgedThrough });
  }
}

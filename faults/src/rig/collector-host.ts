/** The collector on one port and one data directory, however often it is killed, with a plan of faults for each start. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { FaultPlan, PlantedBug } from '@sluice/collector/fault-points.js';
import { Child } from '../processes/child.js';
import type { CollectorCalls, CollectorSettings } from '../processes/protocol.js';
import { clockOffsetVariable, steppingClock } from './clock.js';
import { Host } from './host.js';

/** Small segments and short pauses, so that a kill finds every stage at work. */
export const smallSegments: CollectorSettings = {
  wal: { segmentAgeMs: 50, segmentMostAgeMs: 50, segmentEvents: 1000, retryDelayMs: 100 },
  store: { retryInitialMs: 20, retryMaxMs: 200 },
  stop: { callsMs: 2000, flushMs: 30_000 },
};

export class CollectorHost extends Host<CollectorCalls> {
  readonly dataDir: string;
  readonly endpoint: string;
  /** Where its process would kill itself, from the next start on. */
  killAt: FaultPlan['killAt'];
  /** The wall clock of the next start; undefined: the machine's, which cannot be set. */
  clockOffsetMs: number | undefined;
  /** How many workers the next start has; undefined: none but itself, by default. */
  workers: number | undefined;
  readonly #settings: CollectorSettings;
  readonly #plant: PlantedBug | undefined;

  constructor(options: {
    dataDir: string;
    port: number;
    storeUrl: string;
    settings: CollectorSettings;
    workers: number | undefined;
    plant: PlantedBug | undefined;
    onLost: (problem: string) => void;
  }) {
    super(options.onLost);
    this.dataDir = options.dataDir;
    this.endpoint = `127.0.0.1:${options.port}`;
    this.#plant = options.plant;
    this.workers = options.workers;
    this.#settings = {
      ...options.settings,
      grpc: { address: this.endpoint },
      data: { directory: options.dataDir },
      store: { ...options.settings['store'], url: options.storeUrl },
    };
  }

  /** Segments on the disk; one, which is empty, when all is committed and there is one worker. */
  get segments(): number {
    return this.#logs.flatMap(filesOf).filter((name) => name.endsWith('.wal')).length;
  }

  /** What the log takes on the disk. */
  get logMiB(): number {
    const paths = this.#logs.flatMap((log) => filesOf(log).map((name) => join(log, name)));
    const bytes = paths.reduce((sum, path) => sum + sizeOf(path), 0);
    return Math.round(bytes / 1024 / 102.4) / 10;
  }

  /** Files that could not be stored in full. */
  get damaged(): string[] {
    return this.#logs.flatMap((log) => filesOf(join(log, 'damaged')));
  }

  /** The process ids of its workers; none if it has no processes but its own, or has ended. */
  get workerIds(): number[] {
    if (!this.isAlive) return [];
    const { pid } = this.child;
    try {
      const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1');
      return children.split(' ').filter(Boolean).map(Number);
    } catch {
      return [];
    }
  }

  /** As `start`, for one that is armed: it may reach its point before it is up. */
  async startOrDie(): Promise<'up' | 'died'> {
    try {
      await this.start();
      return 'up';
    } catch (error) {
      if (!this.isAlive) return 'died';
      throw error;
    }
  }

  /** The last lines of its log that name something. */
  logOf(word: string): string[] {
    const lines = readFileSync(this.#logFile, 'utf8').split('\n');
    return lines.filter((line) => line.includes(word)).slice(-5);
  }

  /** The folders of its logs: `wal`, and `wal-1` and so on of further workers, those of earlier lives included. */
  get #logs(): string[] {
    return filesOf(this.dataDir)
      .filter((name) => /^wal(-\d+)?$/.test(name))
      .map((name) => join(this.dataDir, name));
  }

  get #logFile(): string {
    return `${this.dataDir}.log`;
  }

  protected override spawn(): Child<CollectorCalls> {
    const killAt = this.killAt;
    const { clockOffsetMs } = this;
    const child: Child<CollectorCalls> = new Child<CollectorCalls>({
      role: 'collector',
      entry: 'collector-process.js',
      logFile: this.#logFile,
      ...(clockOffsetMs === undefined
        ? {}
        : {
            nodeArguments: ['--import', steppingClock],
            env: { [clockOffsetVariable]: String(clockOffsetMs) },
          }),
      onLost: (how) => {
        if (killAt === undefined) this.onLost(`the collector ended by itself: ${how}`);
        else if (how !== 'SIGKILL')
          this.onLost(`the collector was to die at ${killAt.point} and ended otherwise: ${how}`);
      },
    });
    return child;
  }

  protected override async boot(child: Child<CollectorCalls>): Promise<void> {
    const faults: FaultPlan = {
      ...(this.killAt === undefined ? {} : { killAt: this.killAt }),
      ...(this.#plant === undefined ? {} : { plant: this.#plant }),
    };
    await child.ask('start', { settings: this.#settings, workers: this.workers, faults });
  }
}

/** A segment may be removed while it is looked at. */
function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

function filesOf(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

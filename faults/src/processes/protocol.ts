/** What the suite asks its processes for; each serves one of these interfaces (serve.ts). */
import type { FaultPlan } from '@sluice/collector/fault-points.js';
import type { FinalCounts } from '../oracle/account.js';
import type { FormulaKey } from '../oracle/event-formula.js';

export interface Ending {
  /** Stops what was started; the process ends after its answer. */
  end(): Promise<void>;
}

export interface StoreCalls extends Ending {
  start(options: { dataDir: string; port: number }): Promise<{ url: string }>;
}

export interface Stepping {
  /** How far the process's wall clock is from the machine's. */
  setClock(options: { offsetMs: number }): Promise<void>;
}

/** A configuration of the collector, by section. */
export type CollectorSettings = Readonly<Record<string, Readonly<Record<string, string | number>>>>;

export interface CollectorCalls extends Ending, Stepping {
  start(options: {
    settings: CollectorSettings;
    workers: number | undefined;
    faults: FaultPlan;
  }): Promise<{ port: number }>;
  counters(): Promise<{
    committedEvents: number;
    committedSegments: number;
    quarantinedEvents: number;
    setAsideSegments: number;
  }>;
}

export interface ProducerSettings {
  readonly endpoint: string;
  readonly project: string;
  readonly run: string;
  readonly job: string;
  readonly host: string;
  readonly attempt: number;
  readonly padBytes: number;
  readonly lossEvery: number;
  readonly isPlain: boolean;
  /** Its loggers have this rank and the following ones. */
  readonly firstRank: number;
  readonly loggers: number;
  /** Over all its loggers. */
  readonly eventsPerSecond: number;
  /** Logging pauses while a logger holds more than this; 0: never, so that a full buffer drops. */
  readonly holdBytes: number;
  /** Longest pause between two flushes of a logger. */
  readonly flushEveryMs: number;
  /** Python only: how often it forks, on average; 0: never. */
  readonly forkEveryMs: number;
  readonly seed: number;
  /** Options of `createLogger`, such as bufferBytes. */
  readonly sdk: Readonly<Record<string, number | string>>;
}

export interface LoggerReport {
  readonly producerId: string;
  readonly rank: number;
}

/** After each flush that succeeded: everything up to this number is acknowledged, or safe in a spool. */
export interface AcknowledgmentNotice {
  readonly producerId: string;
  readonly acknowledgedThrough: number;
}

/** What a producer tells by itself: after each flush that succeeded, and, if it is one in Python, of its forks. */
export type ProducerNotice =
  | AcknowledgmentNotice
  /** A fork has begun: its loggers, which have logged nothing yet. */
  | { readonly born: readonly LoggerReport[] }
  /** A fork has delivered what it logged, and ends. */
  | { readonly final: LoggerFinal }
  | { readonly violation: string };

export interface LoggerFinal extends FinalCounts {
  readonly producerId: string;
  /** Whether the last flush was acknowledged in time. */
  readonly isDelivered: boolean;
  readonly resends: number;
  readonly duplicates: number;
  readonly lastError: string | undefined;
}

export interface ProducerCalls extends Ending, Stepping {
  /** Makes the loggers, which log nothing yet. */
  start(settings: ProducerSettings): Promise<LoggerReport[]>;
  /** Starts logging, once the suite knows whose events to expect. */
  go(): Promise<void>;
  setRate(options: { eventsPerSecond: number }): Promise<void>;
  totals(): Promise<{ logged: number; dropped: number; lastError: string | undefined }>;
  /** Stops logging and delivers what is left. */
  finish(options: { timeoutMs: number }): Promise<LoggerFinal[]>;
}

export type { FormulaKey };

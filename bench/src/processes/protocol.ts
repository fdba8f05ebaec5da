/**
 * What the bench asks its processes for. Each process serves one of these interfaces (serve.ts), and the
 * bench calls it as if it were local (child.ts); arguments and results go over Node's IPC channel.
 */
import type { Usage } from '../measure/usage.js';

export interface Measured {
  /** CPU and memory up to now. */
  usage(): Promise<Usage>;
  /** Ends what was started; the process ends afterwards. */
  stop(): Promise<void>;
}

export interface StoreCalls extends Measured {
  start(options: { dataDir: string }): Promise<{ url: string }>;
}

export interface CollectorCalls extends Measured {
  start(options: { dataDir: string; storeUrl: string }): Promise<{ endpoint: string }>;
  counters(): Promise<{ committedEvents: number; quarantinedEvents: number; setAsideSegments: number }>;
}

export interface SdkCalls extends Measured {
  start(options: {
    endpoint: string;
    project: string;
    run: string;
    rank: number;
    bufferedBytes: number;
  }): Promise<void>;
  /** Logs this many events as fast as they are taken, and waits until all are acknowledged. */
  log(events: number): Promise<LogOutcome>;
  /** CPU of making that many events without logging them, in microseconds for one. */
  generate(events: number): Promise<number>;
}

export interface LogOutcome {
  /** On the machine's monotonic clock: the first log call, and the last acknowledgment. */
  readonly startMs: number;
  readonly acknowledgedMs: number;
  /** CPU between them. */
  readonly cpuUs: number;
  readonly acknowledged: number;
  readonly dropped: number;
  readonly lastError: string | undefined;
}

export interface EngineCalls extends Measured {
  /** Opens an empty directory and makes the tables of the collector's schema in it. */
  start(options: { dataDir: string }): Promise<{ version: string }>;
  /** Inserts one file of one Native block into `events`. */
  insert(file: string): Promise<void>;
  /** Runs one statement; its result in TabSeparated. */
  sql(statement: string): Promise<string>;
}

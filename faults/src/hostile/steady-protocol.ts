/** What the suite asks the healthy clients for, beside which the hostile ones do their worst. */
import type { LoggerFinal } from '../processes/protocol.js';

export interface SteadySettings {
  readonly endpoint: string;
  readonly run: string;
  readonly encoding: 'blocks' | 'rows';
  readonly loggers: number;
  readonly eventsPerFlush: number;
  readonly pauseMs: number;
}

export interface SteadyCalls {
  /** Starts logging and flushing; resolves to the producers, by rank from 1. */
  start(settings: SteadySettings): Promise<{ producerId: string; rank: number }[]>;
  /** Milliseconds from the call of flush() to its acknowledgment, since the last question; failures apart. */
  latencies(): Promise<{ ms: number[]; failures: number }>;
  finish(options: { timeoutMs: number }): Promise<(LoggerFinal & { acknowledgedThrough: number })[]>;
  end(): Promise<void>;
}

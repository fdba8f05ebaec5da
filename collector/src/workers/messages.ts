/** What the primary and its workers say to each other over the IPC channel; of producers, see ownership/mail.ts. */
import type { Config } from '../config.js';
import type { SluiceErrorCode } from '../errors.js';
import type { FaultPlan } from '../fault-points.js';
import type { CollectorCounters } from './pipeline.js';

export type ToWorker =
  | {
      readonly kind: 'start';
      readonly worker: number;
      readonly config: Config;
      readonly faults: FaultPlan | undefined;
    }
  /** Every log is open: let calls in. */
  | { readonly kind: 'serve' }
  | { readonly kind: 'letters'; readonly letters: Buffer }
  | { readonly kind: 'stop' };

export type FromWorker =
  /** It listens: what is said to a worker before that is lost. */
  | { readonly kind: 'listening' }
  /** Its logs are open; what they hold has been told, unless a disk fails now. */
  | { readonly kind: 'opened' }
  | { readonly kind: 'serving'; readonly port: number }
  /** It cannot start, and ends. */
  | { readonly kind: 'failed'; readonly code: SluiceErrorCode; readonly message: string }
  | { readonly kind: 'letters'; readonly letters: Buffer }
  /** All that its logs hold has been told. */
  | { readonly kind: 'read' }
  /** Counted by this life since it began. */
  | { readonly kind: 'counters'; readonly counters: CollectorCounters };

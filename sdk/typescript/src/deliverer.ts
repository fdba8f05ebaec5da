export interface DeliveryCounts {
  calls: number;
  /** Requests that were handed to a call again. */
  resends: number;
  rejected: number;
  duplicates: number;
  lastError: string | undefined;
}

export function noCounts(): DeliveryCounts {
  return { calls: 0, resends: 0, rejected: 0, duplicates: 0, lastError: undefined };
}

/** What a logger needs of whatever takes its events away. */
export interface Deliverer {
  readonly counts: DeliveryCounts;
  /** Something new is in the open draft; called from within a log call, so it only sets a timer. */
  noticeOpen(): void;
  /** A request is full; called from within a log call. */
  noticeSealed(): void;
  /** Resolves once everything up to `target` is acknowledged (true), or with false when it will not be in time. */
  waitFor(target: number, timeoutMs: number): Promise<boolean>;
  /** Resolves once the collector was asked to commit what was waited for and is acknowledged, or at the deadline. */
  marked(timeoutMs: number): Promise<void>;
  /** Gives up what is under way. Waiters learn that they waited in vain. */
  stop(): void;
}

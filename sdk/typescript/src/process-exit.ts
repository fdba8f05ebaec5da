/** What the end of the process needs from a logger. */
export interface Exiting {
  /** Events that are not acknowledged. */
  readonly pending: number;
  /** Delivers what is left within its deadline, or else gives it up. */
  finish(): Promise<void>;
  /** The process ends now, with events left. */
  abandon(): void;
}

const loggers = new Set<Exiting>();
let isHooked = false;

/** One hook a process for all loggers. `beforeExit` does not run after process.exit() or a signal. */
export function watchExit(logger: Exiting): void {
  loggers.add(logger);
  if (isHooked) return;
  isHooked = true;
  // Runs again whenever it left something to do, until no logger has anything left.
  process.on('beforeExit', () => {
    for (const each of loggers) {
      if (each.pending > 0) void each.finish();
    }
  });
  process.on('exit', () => {
    for (const each of loggers) {
      if (each.pending > 0) each.abandon();
    }
  });
}

export function forgetExit(logger: Exiting): void {
  loggers.delete(logger);
}

/** What the end of the process needs from a logger. */
export interface Exiting {
  /** Sequence numbers that are not acknowledged: events, and losses that the collector has not been told of. */
  readonly pending: number;
  /** Delivers what is left within its deadline, or else gives it up. */
  finish(): Promise<void>;
  /** The process ends now, with something left. */
  abandon(): void;
  /** The process ends now, with nothing left. */
  tidy?(): void;
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
      else each.tidy?.();
    }
  });
}

export function forgetExit(logger: Exiting): void {
  loggers.delete(logger);
}

/** What a process holds on to without having anything left to do: its standard streams. */
const standing = new Set(['PipeWrap', 'TTYWrap']);

/**
 * Whether the process seems to live on for the loggers' open calls alone: gRPC holds a socket and a timer for
 * each, and offers no way to let go of them. A guess, and only ever used to lose patience with a call that makes no
 * progress, which costs sending it again.
 */
export function isProcessEnding(): boolean {
  const held = process.getActiveResourcesInfo().filter((kind) => !standing.has(kind));
  const sockets = held.filter((kind) => kind === 'TCPSocketWrap').length;
  const timers = held.filter((kind) => kind === 'Timeout').length;
  return sockets + timers === held.length && sockets <= loggers.size && timers <= loggers.size;
}

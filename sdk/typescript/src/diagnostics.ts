import type { Clock } from './clock.js';
import { internalLimits } from './limits.js';

/** What can go wrong, as a closed set, so that a callback can switch on it. */
export type DiagnosticKind =
  | 'option' // a bad option or environment variable was ignored
  | 'encoding' // an event or a field could not be encoded
  | 'too_large' // an event was larger than 1 MiB
  | 'buffer_full' // events are being dropped
  | 'unreachable' // the collector does not answer; it is tried again
  | 'reached' // it answers again, after it was said that it does not
  | 'overloaded' // the collector asks to wait
  | 'refused' // the collector does not take what this logger sends
  | 'rejected' // the collector rejected single events for breaking a limit
  | 'rewind' // collector and logger disagree about what was stored
  | 'undelivered' // the logger was closed or the process ended before everything was acknowledged
  | 'closed' // something was logged after the logger was closed
  | 'spool' // the spool cannot be written or read, or something in it is damaged
  | 'spooled' // the logger was closed or the process ended, and what was not acknowledged is in the spool
  | 'bug'; // a fault of the SDK itself

export interface Diagnostic {
  readonly kind: DiagnosticKind;
  readonly message: string;
  /** How many of this kind were held back since the last one that was reported. */
  readonly suppressed: number;
}

/** Never held back, because it follows one that was not. */
const answers: readonly DiagnosticKind[] = ['reached'];

/**
 * One line a kind in ten minutes at most, on stderr or to a callback; `reached` follows each `unreachable` that was
 * said. Nothing here ever throws.
 */
export class Diagnostics {
  readonly #clock: Clock;
  readonly #report: (diagnostic: Diagnostic) => void;
  readonly #seen = new Map<DiagnosticKind, { reportedMs: number; suppressed: number }>();

  constructor(clock: Clock, report: (diagnostic: Diagnostic) => void = writeLine) {
    this.#clock = clock;
    this.#report = report;
  }

  /** Whether it is shown. The message is made only then: a full buffer reports every event that it drops. */
  report(kind: DiagnosticKind, message: () => string): boolean {
    const nowMs = this.#clock.monotonicMs();
    const seen = answers.includes(kind) ? undefined : this.#seen.get(kind);
    if (seen && nowMs - seen.reportedMs < internalLimits.diagnosticIntervalMs) {
      seen.suppressed++;
      return false;
    }
    this.#seen.set(kind, { reportedMs: nowMs, suppressed: 0 });
    try {
      this.#report({ kind, message: message(), suppressed: seen?.suppressed ?? 0 });
    } catch {
      // A callback that throws must not reach the job's log call.
    }
    return true;
  }
}

function writeLine({ kind, message, suppressed }: Diagnostic): void {
  const more = suppressed > 0 ? ` (and ${suppressed} more like it)` : '';
  const { stderr } = process;
  // A pipe whose reader is gone emits 'error', which ends the job if nobody listens. console.error would not do:
  // it listens for the first such error of a stream only.
  const ignore = (): void => {};
  stderr.on('error', ignore);
  stderr.write(`sluice: ${kind}: ${message}${more}\n`, (error) => {
    // The event comes after this call.
    if (error) setImmediate(() => stderr.removeListener('error', ignore));
    else stderr.removeListener('error', ignore);
  });
}

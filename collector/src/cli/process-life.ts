/**
 * The life of a process that serves until it is told to end.
 *
 * 1. SIGTERM, SIGINT, or the end of a parent that holds an IPC channel: one graceful stop, then exit 0.
 * 2. A second signal ends the process at once; acknowledged events are on the disk by then.
 * 3. An uncaught exception or an unhandled rejection ends it with 70: the write-ahead log replays, and
 *    a process that goes on after a bug may acknowledge what it does not keep.
 */
import type { Logger } from '../process-log.js';
import { exitCodes } from './exit-codes.js';

export interface Life {
  readonly logger: Logger;
  /** Ends what was started so far, in order; called once. */
  readonly stop: () => Promise<void>;
  /** Ends what does not end with the process itself; must not wait. */
  readonly endNow?: () => void;
  /**
   * A supervised process leaves signals, which a terminal or a service manager sends to the whole
   * group, to its supervisor, and stops when that lets go of the IPC channel.
   */
  readonly isSupervised?: boolean;
}

export function crash(logger: Logger, error: unknown, endNow?: () => void): never {
  logger.fatal({ err: error }, 'a bug: the process ends; acknowledged events are stored at the next start');
  endNow?.();
  process.exit(exitCodes.crashed);
}

export function liveUntilStopped(life: Life): void {
  const { logger, stop, endNow } = life;
  let stopping = false;
  const begin = (why: string, signalNumber: number): void => {
    if (stopping) {
      logger.warn({ why }, 'a second signal: ending at once');
      endNow?.();
      process.exit(128 + signalNumber);
    }
    stopping = true;
    logger.info({ why }, 'stopping');
    stop().then(
      () => process.exit(exitCodes.ok),
      (error: unknown) => crash(logger, error, endNow),
    );
  };
  const onSignal = (why: string, signalNumber: number): void => {
    if (life.isSupervised !== true) begin(why, signalNumber);
  };
  process.on('SIGTERM', () => onSignal('SIGTERM', 15));
  process.on('SIGINT', () => onSignal('SIGINT', 2));
  if (process.connected) {
    process.on('disconnect', () => {
      if (!stopping) begin('the parent process has let go', 15);
    });
  }
  // Covers rejections too: Node turns one that nobody handles into this.
  process.on('uncaughtException', (error) => crash(logger, error, endNow));
}

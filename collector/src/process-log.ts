import { type Logger, pino } from 'pino';
import pretty from 'pino-pretty';

export type { Logger } from 'pino';

/**
 * The process's log, on stderr: readable lines on a terminal, JSON elsewhere. Written synchronously,
 * so that nothing is lost when the process dies; nothing on the hot path logs.
 */
export function openLog(level: string): Logger {
  if (process.stderr.isTTY) {
    return pino(
      { level },
      pretty({ destination: 2, sync: true, ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss.l' }),
    );
  }
  return pino({ level }, pino.destination({ dest: 2, sync: true }));
}

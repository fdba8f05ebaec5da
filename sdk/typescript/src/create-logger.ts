import { hostname } from 'node:os';
import { systemClock } from './clock.js';
import { Diagnostics } from './diagnostics.js';
import { encodeProducer } from './encode/producer.js';
import { type Logger, SluiceLogger } from './logger.js';
import { type LoggerOptions, resolveOptions } from './options.js';
import { isProcessEnding, watchExit } from './process-exit.js';
import { GrpcTransport } from './transport/grpc-transport.js';
import { uuid7, uuidText } from './uuid7.js';
import { sdkName, sdkVersion } from './version.js';

/**
 * Makes a logger. Never throws: an option that is wrong is ignored, and said so once on stderr or to
 * `onDiagnostic`. No connection is made before there is something to send.
 */
export function createLogger(options?: LoggerOptions): Logger {
  const clock = systemClock;
  const startMs = clock.wallMs();
  const id = uuid7(startMs);
  const settings = resolveOptions(options, {
    variables: process.env,
    host: hostname(),
    newRun: () => newRun(startMs, id),
  });
  const diagnostics = new Diagnostics(clock, settings.onDiagnostic);
  if (settings.warnings.length > 0) diagnostics.report('option', () => settings.warnings.join('; '));
  const logger = new SluiceLogger({
    settings,
    producerId: uuidText(id),
    producer: encodeProducer({ ...settings, id, pid: process.pid, sdkName, sdkVersion, startMs }),
    clock,
    transport: new GrpcTransport(settings.endpoint),
    diagnostics,
    isEnding: isProcessEnding,
  });
  watchExit(logger);
  return logger;
}

/** Sorts by time and can be said aloud: 20261123-005350-7f3a9c. */
export function newRun(startMs: number, id: Uint8Array): string {
  const [date, time] = new Date(startMs).toISOString().slice(0, 19).split('T');
  const random = Buffer.from(id.subarray(13)).toString('hex');
  return `${date?.replaceAll('-', '')}-${time?.replaceAll(':', '')}-${random}`;
}

import { hostname } from 'node:os';
import { type Clock, systemClock } from './clock.js';
import { Diagnostics } from './diagnostics.js';
import { encodeProducer } from './encode/producer.js';
import { type Logger, SluiceLogger } from './logger.js';
import { type LoggerOptions, resolveOptions, type Settings } from './options.js';
import { isProcessEnding, watchExit } from './process-exit.js';
import { systemFiles } from './spool/files.js';
import { LoggerSpool } from './spool/logger-spool.js';
import { TakeOver } from './spool/take-over.js';
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
  const producer = encodeProducer({ ...settings, id, pid: process.pid, sdkName, sdkVersion, startMs });
  const spool = spoolOf(settings, { producerId: id, producer, clock, diagnostics });
  const logger = new SluiceLogger({
    settings,
    producerId: uuidText(id),
    producer,
    clock,
    ...(spool && { spool }),
    transport: new GrpcTransport(settings.endpoint),
    diagnostics,
    isEnding: isProcessEnding,
  });
  watchExit(logger);
  return logger;
}

/** The logger's spool, and beside it whoever delivers what other processes left there. */
function spoolOf(
  settings: Settings,
  parts: { producerId: Uint8Array; producer: Uint8Array; clock: Clock; diagnostics: Diagnostics },
): LoggerSpool | undefined {
  const { spoolDir, endpoint, mode } = settings;
  if (spoolDir === undefined) return undefined;
  const common = { ...parts, settings: { ...settings, spoolDir }, files: systemFiles };
  if (mode === 'offline') return new LoggerSpool(common);
  const takingOver = new TakeOver({
    ...parts,
    directory: spoolDir,
    files: systemFiles,
    settings: { ...settings, endpoint: endpoint.target },
    transport: new GrpcTransport(endpoint),
    isEnding: isProcessEnding,
  });
  takingOver.start();
  return new LoggerSpool({ ...common, takingOver });
}

/** Sorts by time and can be said aloud: 20261123-005350-7f3a9c. */
export function newRun(startMs: number, id: Uint8Array): string {
  const [date, time] = new Date(startMs).toISOString().slice(0, 19).split('T');
  const random = Buffer.from(id.subarray(13)).toString('hex');
  return `${date?.replaceAll('-', '')}-${time?.replaceAll(':', '')}-${random}`;
}

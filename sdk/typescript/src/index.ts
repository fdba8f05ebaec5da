export type { LossReason } from './buffer/loss.js';
export { createLogger } from './create-logger.js';
export type { Diagnostic, DiagnosticKind } from './diagnostics.js';
export { type Encoding, type Environment, type Mode, resolveEnvironment } from './environment.js';
export { type EventOptions, type Fields, type Severity, severityNumbers } from './event-options.js';
export type { FlushResult, Logger, LoggerStats } from './logger.js';
export { defaultSpoolDir, type LoggerOptions } from './options.js';
export { type SyncedProducer, type SyncOptions, type SyncResult, syncSpool } from './spool/sync.js';

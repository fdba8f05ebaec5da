export type { LossReason } from './buffer/loss.js';
export { createLogger } from './create-logger.js';
export type { Diagnostic, DiagnosticKind } from './diagnostics.js';
export { type Environment, resolveEnvironment } from './environment.js';
export { type EventOptions, type Fields, type Severity, severityNumbers } from './event-options.js';
export type { FlushResult, Logger, LoggerStats } from './logger.js';
export type { LoggerOptions } from './options.js';

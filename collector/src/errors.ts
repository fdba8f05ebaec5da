/**
 * Why the process, or one call to it, cannot go on. A closed set: callers switch on the code, never
 * on the text. The message names the thing, the actual value, the allowed one and what to do.
 */
export type SluiceErrorCode =
  | 'configuration'
  | 'address_in_use'
  | 'data_directory_locked'
  | 'data_directory_unusable'
  | 'schema_mismatch'
  | 'store_unavailable'
  | 'log_corrupt'
  | 'worker_ended';

export class SluiceError extends Error {
  readonly code: SluiceErrorCode;

  constructor(code: SluiceErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'SluiceError';
    this.code = code;
  }
}

import type { SluiceErrorCode } from '../errors.js';

/** What scripts can tell apart. Also shown by `sluice --help`; numbers are never given a new meaning. */
export const exitCodes = {
  ok: 0,
  /** The operation was carried out and failed: the SQL is wrong, the schema does not fit, the log is damaged. */
  failed: 1,
  /** Wrong usage or configuration: nothing was tried. */
  usage: 2,
  storeUnreachable: 3,
  addressInUse: 4,
  /** Another process holds the data directory. */
  dataLocked: 5,
  /** The data directory cannot be created, read or written. */
  dataUnusable: 6,
  /** A bug. The collector's log replays at the next start. */
  crashed: 70,
} as const;

export const exitCodeHelp = `Exit codes:
  0   done
  1   failed: the SQL is wrong, a table does not fit, …
  2   wrong usage or configuration; nothing was tried
  3   the store cannot be reached
  4   an address is in use
  5   the data directory is held by another process
  6   the data directory cannot be written
  70  a bug; acknowledged events are safe and stored at the next start`;

const codesOfErrors: Readonly<Record<SluiceErrorCode, number>> = {
  configuration: exitCodes.usage,
  address_in_use: exitCodes.addressInUse,
  data_directory_locked: exitCodes.dataLocked,
  data_directory_unusable: exitCodes.dataUnusable,
  schema_mismatch: exitCodes.failed,
  store_unavailable: exitCodes.storeUnreachable,
  log_corrupt: exitCodes.failed,
  worker_ended: exitCodes.crashed,
};

export function exitCodeOf(code: SluiceErrorCode): number {
  return codesOfErrors[code];
}

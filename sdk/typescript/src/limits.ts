/**
 * Every limit and default of the SDK, in one place. What a user may set is an option of the same
 * name in `createLogger`; the unit is at the end of the name.
 */

const KiB = 1024;
const MiB = 1024 * KiB;

/** What the collector takes (design, section 7). The SDK keeps to it so that nothing is refused. */
export const wireLimits = {
  eventBytes: 1 * MiB,
  nameBytes: 256,
  keyBytes: 256,
  keysPerEvent: 1024,
  lossesPerRequest: 10_000,
  /** Project, run, job, host and the like. */
  producerStringBytes: 1024,
  labelsPerProducer: 64,
  attempt: 65_535,
  uint32: 0xffff_ffff,
} as const;

/** Numbers that `createLogger` takes: the default and what is allowed. */
export const numberOptions = {
  /** Encoded bytes held in memory, unacknowledged ones included. */
  bufferBytes: { default: 64 * MiB, min: 64 * KiB, max: 4096 * MiB },
  /** A request is sealed at this size … */
  requestBytes: { default: 1 * MiB, min: 1 * KiB, max: 8 * MiB },
  /** … or when its first event is this old, unless the collector asks for another age; see pace.ts. */
  requestAgeMs: { default: 200, min: 0, max: 60_000 },
  /** A call is half-closed for its acknowledgment when its oldest event is this old, with the same exception … */
  callAgeMs: { default: 1000, min: 0, max: 60_000 },
  /** … or after this many bytes. */
  callBytes: { default: 4 * MiB, min: 1 * KiB, max: 64 * MiB },
  /** A call that makes no progress for this long is given up and sent again on a new connection. */
  ackTimeoutMs: { default: 30_000, min: 10, max: 600_000 },
  /** Default deadlines. */
  flushTimeoutMs: { default: 30_000, min: 0, max: 3_600_000 },
  closeTimeoutMs: { default: 5_000, min: 0, max: 3_600_000 },
  /** How long a process that ends by itself is held up to deliver what is left. */
  exitTimeoutMs: { default: 5_000, min: 0, max: 60_000 },
  /** Bytes that a logger's own files in the spool directory may take. */
  spoolBytes: { default: 1024 * MiB, min: 1 * MiB, max: 1024 * 1024 * MiB },
  /** Delays between attempts: full jitter between nothing and a bound that doubles from first to last. */
  backoffMinMs: { default: 100, min: 1, max: 60_000 },
  backoffMaxMs: { default: 10_000, min: 1, max: 600_000 },
} as const;

export type NumberOption = keyof typeof numberOptions;

/** Not options: the shape of the implementation. */
export const internalLimits = {
  /** Names, and keys, that are remembered encoded, for all loggers of the process; when full, the cache starts anew. */
  cachedTexts: 2048,
  /** Keys of all shapes that are remembered, likewise; when full, they are met anew. Ten times what a large program has. */
  cachedShapeKeys: 16_384,
  /** Shapes in one request. The collector takes ten times as many, and each costs it a few microseconds. */
  shapesPerRequest: 1000,
  /** What the columns of shapes that come now and then may keep, beside what a request takes. */
  idleColumnBytes: 256 * KiB,
  /** Numbers in one request, so that an offset fits into its 32 bits however long a full buffer drops. */
  numbersPerRequest: 2 ** 31,
  /** Messages handed to gRPC whose bytes have not left yet: it copies each, so more would be memory
   *  outside the buffer's count. Two keep the socket busy. */
  outstandingWrites: 2,
  /** Memory of acknowledged requests that is kept for the next ones: about what two calls carry. */
  keptRequestBytes: 8 * MiB,
  /** A single request that fails this often with RESOURCE_EXHAUSTED and no delay is given up. */
  exhaustedAttempts: 5,
  /** What a call that is given up gets in addition, so that an answer that has arrived is read. */
  lateGraceMs: 100,
  /** A delay that a collector asks for is believed up to here … */
  retryDelayMaxMs: 60_000,
  /** … and the age at which it wants calls to end up to here. */
  askedCallAgeMaxMs: 5_000,
  /** Meanwhile events are sent at this age at the latest. */
  askedRequestAgeMaxMs: 1_000,
  /** From this failure in a row on, it is said that the collector does not answer. */
  quietAttempts: 3,
  /** While someone waits in flush(), attempts are at most this far apart. */
  flushBackoffMaxMs: 1000,
  /** How long close() and the end of the process wait for a call that asks for a commit and carries no event. */
  flushMarkMs: 200,
  /** A problem that was reported is reported again at most this often. */
  diagnosticIntervalMs: 600_000,
  /** Loss ranges recorded one by one in one request before their order is given up (counts stay). */
  exactLossRanges: 1000,
  /** Ranges of losses that are remembered after they were acknowledged. A collector that goes back behind more of
   *  them, as one does whose disk was restored from an old copy, has the earlier ones counted as lost twice. */
  releasedLossRanges: 1000,
  /** A sealed request is rewritten without its evicted events when they are this share of it. */
  compactionShare: 1 / 8,
  /** A file of the spool ends at this size; one is deleted, and read back, as a whole. */
  spoolSegmentBytes: { min: 256 * KiB, max: 8 * MiB },
  /** Requests that go to the spool in one write. */
  spoolWriteBytes: 4 * MiB,
  /** A spool that cannot be written is tried again after this long. */
  spoolRetryMs: 10_000,
  /** What a request is taken to cost in memory besides its bytes, where many small ones wait. */
  requestOverheadBytes: 256,
  /** How long close() waits for the spool's disk, in addition to its deadline. */
  spoolCloseMs: 5_000,
  /** Of that, what is kept for recording as lost what could not be written, and as much again for syncing. */
  spoolCloseReserveMs: 500,
  /** Meanwhile, a spool that cannot be written is tried again after this long. */
  spoolCloseRetryMs: 100,
  /** A file of a spool beyond this size was not written by an SDK, and is not read. */
  spoolReadBytes: 256 * MiB,
  /** When another process's spool is looked for: so long after the start, and then so often. Jittered, so that
   *  the ranks of a host do not all look at once. */
  takeOverFirstMs: 1_000,
  takeOverEveryMs: 60_000,
  /** Between two calls with another process's requests. */
  takeOverPauseMs: 10,
} as const;

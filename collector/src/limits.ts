/**
 * Every limit and default of the collector and of the embedded store, in one place. Each can be set
 * in the configuration under the same name (see config.ts), but for `innerLimits`; the unit is at the
 * end of the name.
 */

const KiB = 1024;
const MiB = 1024 * KiB;
const GiB = 1024 * MiB;

/** Where things listen. Loopback, so that nothing is reachable from outside until someone says so. */
export const listenDefaults = {
  grpc: '127.0.0.1:4317',
  storeHost: '127.0.0.1',
  storePort: 8123,
} as const;

/** What one message and one event may be (design, section 7). */
export const messageLimits = {
  messageBytes: 16 * MiB,
  eventBytes: 1 * MiB,
  nameBytes: 256,
  keyBytes: 256,
  keysPerEvent: 1024,
  eventsPerRequest: 1_000_000,
  /** An SDK sends a block a shape; each is an object at the door. */
  blocksPerRequest: 10_000,
  /**
   * What the events of a request take when each has its own attributes: those that a block has once for all
   * of its events would else make gigabytes of a message. An SDK's requests are a fraction of it.
   */
  expandedBytes: 48 * MiB,
  lossesPerRequest: 10_000,
  /** Events of one request that may break a limit one by one; above it the whole request is refused. */
  rejectionsPerRequest: 10_000,
  /** An encoded `Producer`, with all that its fields may hold. */
  producerBytes: 192 * KiB,
  /** Project, run, host and the like, and the words of a loss. */
  producerStringBytes: 1024,
  labelsPerProducer: 64,
  /** Rejections listed in one response; the rest is counted and stands in `losses`. */
  rejectionsPerResponse: 1000,
} as const;

/** What validate/ checks against; the configured values have this shape. */
export type MessageLimits = { readonly [name in keyof typeof messageLimits]: number };

/**
 * What clients can make the collector hold, whatever they send. The sum of the worst: `connections` and
 * `calls` (about 65 and 15 KiB each), `receivingBytes` and 1.5 times `windowBytes`, twice `pendingBytes` and
 * `waitingBytes` (memory comes in powers of two), free memory of messages (12 MiB) and, for some seconds after a burst,
 * of those that were not complete (as much as there were), and one inflated message, twice, for each of `inflateAtOnce`.
 */
export const receiveLimits = {
  /** Bytes of received messages that wait for the log, over all calls; reading stops above it. */
  pendingBytes: 6 * MiB,
  /** Bytes of complete messages that wait because of `pendingBytes`; above it no open connection is read (valve.ts), until
   * half of it has gone into the log. */
  waitingBytes: 4 * MiB,
  /** Bytes that have arrived and are not in the log's hands, over all calls, without what flow control lets come
   * anyway (`windowBytes`); see receive/reception.ts. With 24 MiB, 1,000 busy producers waited for each other and got
   * half the rate. */
  receivingBytes: 48 * MiB,
  /** HTTP/2 window of one call: how much a client may send ahead of the collector's reading, at most. */
  streamWindowBytes: 1 * MiB,
  /** The windows of all calls together: what still arrives when reading stops. Above it each gets less, down to 4 KiB. */
  windowBytes: 8 * MiB,
  /** HTTP/2 window of one connection. */
  connectionWindowBytes: 4 * MiB,
  /** A job's process has one. */
  connections: 2048,
  /** Calls open on one connection at the same time; a logger has one. */
  callsPerConnection: 128,
  /** Calls open on all connections. */
  calls: 4096,
  /** The headers of one call. */
  headerBytes: 16 * KiB,
  /** A message that has begun must be complete after so much time in which it was read. */
  messageMs: 60_000,
  /** The same while half of `receivingBytes` is taken, so that slow messages do not keep others out. */
  pressedMessageMs: 5000,
  /** Compressed messages that are inflated at the same time. */
  inflateAtOnce: 1,
  /** A call that carries nothing for this long is ended, so that half-open calls do not pile up. */
  callIdleMs: 60_000,
  /** A connection without a call for this long is closed; clients open another when they need one. */
  connectionIdleMs: 300_000,
  /** What a client is told to wait when a limit of the above refuses its call. */
  retryDelayMs: 1000,
  /** Calls that all producers together are asked to end in a second; see receive/call-pace.ts … */
  callsPerSecond: 400,
  /** … but no producer more often than this … */
  leastCallAgeMs: 100,
  /** … or less often, because its events are only safe then. */
  mostCallAgeMs: 2000,
} as const;

export type ReceiveLimits = { readonly [name in keyof typeof receiveLimits]: number };

export const walLimits = {
  // Sized for the collector's memory, which must stay below 256 MiB: the worker holds one segment's bytes
  // and the columns of two. With 500,000 events and 64 MiB it peaked at 416 MiB, at the same rate.
  segmentEvents: 125_000,
  segmentBytes: 16 * MiB,
  /** Losses and rejections, each a row of `losses`. */
  segmentLedgerRows: 50_000,
  /** The age at which a segment is sealed that holds much; see wal/seal-age.ts … */
  segmentAgeMs: 1000,
  /** … and one that holds little. At least `segmentAgeMs`; equal to it, every segment is sealed at that age. */
  segmentMostAgeMs: 10_000,
  /** Little is less than so many events, losses and rejections … */
  segmentSmallEvents: 10_000,
  /** … and less than so many bytes. */
  segmentSmallBytes: 2 * MiB,
  /** A segment is sealed for a flush no earlier than so long after the one before it, however many flush. */
  flushSealMs: 200,
  /** Log on disk, sealed and open segments together; above it calls get RESOURCE_EXHAUSTED. */
  diskBytes: 10 * GiB,
  /** What a client is told to wait when the budget is spent or the log cannot be written. */
  retryDelayMs: 1000,
  /** Producers whose durable sequence is remembered; a new one above it gets RESOURCE_EXHAUSTED. */
  producers: 100_000,
  /** A producer that was silent for this long is forgotten. */
  producerIdleMs: 24 * 60 * 60 * 1000,
} as const;

export type WalLimits = { readonly [name in keyof typeof walLimits]: number };

export const storeLimits = {
  /** Segments that are encoded or on their way at the same time. */
  segmentsInFlight: 2,
  insertTimeoutMs: 120_000,
  queryTimeoutMs: 30_000,
  retryInitialMs: 100,
  retryMaxMs: 10_000,
  /**
   * Inserts that one segment may take to find which of its events ClickHouse refuses; beyond it, ranges
   * of events go to quarantine as they are. One refused event of 125,000 takes about 30.
   */
  bisectionInserts: 2000,
  /** Idle connections are closed by us before the server closes them under a request. */
  keepAliveMs: 2000,
} as const;

export type StoreLimits = { readonly [name in keyof typeof storeLimits]: number };

export const stopLimits = {
  /** On SIGTERM: how long open calls may take to finish. */
  callsMs: 5000,
  /** On SIGTERM: how long sealed segments may take to be committed; the rest stays in the log. */
  flushMs: 10_000,
} as const;

export type StopLimits = { readonly [name in keyof typeof stopLimits]: number };

/** The embedded store. */
export const embeddedLimits = {
  /** For one query, unless the request sets `max_memory_usage` lower. */
  queryMemoryBytes: 2 * GiB,
  /** For all queries, inserts and merges together. */
  serverMemoryBytes: 4 * GiB,
  /** An INSERT's body, spooled to a file before the engine sees it. */
  insertBodyBytes: 1 * GiB,
  /** The SQL text of one request. */
  queryBytes: 16 * MiB,
  /** A result held in memory before it is sent. */
  resultBytes: 256 * MiB,
  /** Statements that run at the same time; more wait. */
  concurrentReads: 4,
  concurrentInserts: 2,
  /** Statements that wait; more are refused with TOO_MANY_SIMULTANEOUS_QUERIES. */
  waiting: 200,
  /** A request that sends nothing for this long is ended. */
  requestIdleMs: 30_000,
  keepAliveMs: 10_000,
} as const;

/** Processes that share the collector's port, each with a log of its own; see docs/ARCHITECTURE.md. */
export const workerLimits = {
  workers: 1,
  mostWorkers: 64,
} as const;

/** Bounds of the stages' inner working, which nobody has a reason to set. */
export const innerLimits = {
  /** Far above what an event may have; they are looked through before a limit is known to be broken. */
  namesPerBlock: 10_000,
  receive: {
    garbage: {
      /** Bytes read from sockets between two collections of the young generation. */
      everyBytes: 8 * MiB,
    },
    /** Memory of messages that is used again: from a size on that is worth it, and so much of it that is free. Large
     * ones are received where they stay. */
    memory: { leastBytes: 4 * KiB, keptBytes: 12 * MiB, large: { leastBytes: 128 * KiB } },
    /** Memory of messages that are not complete comes in slabs. What was not needed for so long is given up. */
    pieces: { slabBytes: 1 * MiB, trimMs: 5000 },
    /** When reading has been stopped for so long … */
    valveReadsAfterMs: 2000,
    /** … so many connections are read at each sweep: each of 2048 every 4 s. SDKs wait 10 s for a sign of life. */
    readAtOnce: 128,
    /** How often is looked for calls that take too long. */
    sweepMs: 250,
    /** Messages that one read of a call gives on before other calls get their turn. */
    messagesAtOnce: 32,
    /** How long an answered call may take to end by itself before its stream is closed. */
    lingerMs: 1000,
    /** Connections above `connections` that are told so; more are cut at once. */
    spareConnections: 64,
    /** How long a refused connection may take to go. */
    refusedConnectionMs: 2000,
  },
  wal: {
    /** Bytes of one group commit: large enough for the disk, small enough that waiters are not kept. */
    groupBytes: 4 * MiB,
    /** Pauses between tries of a log that cannot be written. */
    healDelayMs: { first: 50, most: 2000 },
    /** Files that hold nothing and could not be removed yet. */
    mostLeftovers: 1000,
    /** A producer that comes back from another log waits this long for the open segment to be sealed. */
    adoptionSealMs: 200,
    /** Pauses between tries of a removal that fails. */
    removalDelayMs: { first: 100, most: 10_000 },
    /** What is read of one file; a segment is a fraction of it. */
    fileBytes: 1 * GiB,
    /** The buffer that segments are read into does not grow beyond this; a larger one gets its own. */
    scratchBytes: 512 * MiB,
  },
  handover: {
    /** A smaller body is sent: a file costs more than so many bytes on a socket. */
    leastBytes: 256 * KiB,
    /** Files that are kept to be written again; each is as large as a batch. */
    keptFiles: 4,
    /** A store that offered nothing, or with which handing over failed, is asked again after this long … */
    askAgainMs: 10_000,
    /** … and twice as long after each failure in a row, up to this. */
    mostAskAgainMs: 600_000,
  },
  commit: {
    /** Producers that need not be announced again; an announcement may be repeated. */
    knownProducers: 100_000,
    /** How often a segment may break our own code before it is given up. */
    breaks: 3,
    /** What is left of `bisectionInserts` for each segment when every segment needs all of it. */
    leastBisectionInserts: 64,
  },
  workers: {
    /** How long a call waits until its producer has come from another worker. */
    claimMs: 2000,
    /** Pauses before a worker that has ended is started again. */
    restartDelayMs: { first: 100, most: 5000 },
    /** One that lived this long is restarted as if it had never ended before. */
    healthyMs: 60_000,
    /** Ends in a row, each sooner than that, after which the collector itself ends. */
    quickDeaths: 8,
    /** On a stop: what a worker may take beyond `stop.callsMs` and `stop.flushMs`. */
    stopGraceMs: 5000,
    /** How often is looked whether a log that is drained is empty. */
    drainLookMs: 200,
  },
  /** How long a start waits for the store before it goes on without it. */
  schemaCheckMs: 3000,
} as const;

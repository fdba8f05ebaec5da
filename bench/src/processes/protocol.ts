/**
 * What the bench asks its processes for. Each process serves one of these interfaces (serve.ts), and the
 * bench calls it as if it were local (child.ts); arguments and results go over Node's IPC channel.
 */
import type { Percentiles } from '../measure/percentiles.js';
import type { Usage } from '../measure/usage.js';
import type { Workload } from '../workload/event-source.js';

export interface Measured {
  /** CPU and memory up to now. */
  usage(): Promise<Usage>;
  /** Ends what was started; the process ends afterwards. */
  stop(): Promise<void>;
}

export interface StoreCalls extends Measured {
  start(options: { dataDir: string }): Promise<{ url: string }>;
}

export interface CollectorCalls extends Measured {
  start(options: { dataDir: string; storeUrl: string }): Promise<{ endpoint: string }>;
  counters(): Promise<{ committedEvents: number; quarantinedEvents: number; setAsideSegments: number }>;
}

export interface SdkOptions {
  readonly endpoint: string;
  readonly project: string;
  readonly run: string;
  /** Of the first logger; each further one has the next. */
  readonly firstRank: number;
  /** How many loggers there are; each has its own connection and is a producer of its own. */
  readonly loggers: number;
  /** What all of them together may hold unacknowledged before logging pauses. */
  readonly bufferedBytes: number;
  readonly workload: Workload;
  /** What the SDK sends; undefined: its default. */
  readonly encoding: 'rows' | undefined;
}

/** How much is logged: so many events, or what can be acknowledged in so many seconds. */
export type Load = { readonly events: number } | { readonly seconds: number };

export interface SdkCalls extends Measured {
  start(options: SdkOptions): Promise<void>;
  /** Logs as fast as events are acknowledged. Returns when the last is logged; `flush` comes next. */
  log(load: Load): Promise<{ startMs: number; loggedMs: number }>;
  /** The same at a given rate, in small bursts; what cannot be taken in time is left out. */
  pace(options: { eventsPerSecond: number; seconds: number }): Promise<{ startMs: number; loggedMs: number }>;
  /** Waits until all is acknowledged that was logged since the last flush. */
  flush(): Promise<LogOutcome>;
  /** CPU of making that many events without logging them, in microseconds for one. */
  generate(events: number): Promise<number>;
}

export interface LogOutcome {
  /** On the machine's monotonic clock: the last acknowledgment. */
  readonly acknowledgedMs: number;
  /** CPU since the first log call. */
  readonly cpuUs: number;
  readonly acknowledged: number;
  readonly dropped: number;
  /** Requests that were sent again. */
  readonly resends: number;
  readonly lastError: string | undefined;
}

export interface HungServerCalls extends Measured {
  start(): Promise<{ endpoint: string }>;
}

export interface CallTimes {
  readonly ns: Percentiles;
  /** While these calls were made. */
  readonly dropped: number;
  readonly acknowledged: number;
  /** gRPC calls that the SDK has made so far, and what it holds at the end. */
  readonly calls: number;
  readonly bufferedBytes: number;
}

export interface LogCallCalls extends Measured {
  /** Makes the logger and warms it up. */
  start(options: { endpoint: string }): Promise<void>;
  /** Ends earlier after `mostSeconds`. */
  time(options: { calls: number; mostSeconds: number }): Promise<CallTimes>;
  /** Logs until the buffer is full and drops. */
  fill(options: { mostSeconds: number }): Promise<{ full: boolean }>;
  /** Two readings of the clock with nothing between them. */
  clock(options: { calls: number }): Promise<{ ns: Percentiles; resolutionNs: number }>;
  /** Bytes that one log call allocates. */
  allocate(options: {
    samples: number;
    callsPerSample: number;
  }): Promise<{ heapBytes: number; externalBytes: number }>;
  flush(): Promise<{ acknowledged: boolean }>;
}

export interface ProbeOptions {
  readonly endpoint: string;
  readonly storeUrl: string;
  readonly project: string;
  readonly run: string;
}

/** Milliseconds from the log call, one for each probe. */
export interface ProbeTimes {
  /** With the SDK's own batching: acknowledged, and visible to SQL. */
  readonly acknowledgedMs: readonly number[];
  readonly visibleMs: readonly number[];
  /** Until `flush()` right after the log call resolved, and until that event was visible. */
  readonly flushedMs: readonly number[];
  readonly flushedVisibleMs: readonly number[];
  /** From one look of SQL to the next: how finely visibility is seen. */
  readonly lookEveryMs: number;
  /** Probes that were not acknowledged or visible in time. */
  readonly missing: number;
}

export interface ProbeCalls extends Measured {
  start(options: ProbeOptions): Promise<void>;
  probe(options: { seconds: number }): Promise<ProbeTimes>;
}

export interface EngineCalls extends Measured {
  /** Opens an empty directory and makes the tables of the collector's schema in it. */
  start(options: { dataDir: string }): Promise<{ version: string }>;
  /** Inserts one file of one Native block into `events`. */
  insert(file: string): Promise<void>;
  /** Runs one statement; its result in TabSeparated. */
  sql(statement: string): Promise<string>;
}

/** What is compared in Python; see bench/python/subjects.py. */
export type PythonSubject = 'sluice' | 'logging' | 'opentelemetry' | 'wandb' | 'nothing';

/** As CallTimes; null where the subject says nothing of itself. */
export interface PythonCallTimes {
  readonly ns: Percentiles;
  readonly dropped: number | null;
  readonly acknowledged: number | null;
  readonly calls: number | null;
  readonly bufferedBytes: number | null;
}

export interface SustainedLoad {
  readonly events: number;
  /** Until the last event was logged, and until it was acknowledged. */
  readonly loggedSeconds: number;
  readonly acknowledgedSeconds: number;
  /** Since the start of the process, its warm-up included. */
  readonly acknowledged: number;
  readonly dropped: number;
  readonly delivered: boolean;
  readonly cpuUs: number;
}

export interface StepRate {
  /** One step without an event. */
  readonly stepMs: number;
  /** What an event adds to a step, as a share of it: the median of the pairs, and their quartiles. */
  readonly slowdown: number;
  readonly slowdownFrom: number;
  readonly slowdownTo: number;
  readonly pairs: number;
}

/** What a step of the training is; see bench/python/job.py. */
export type PythonStep = 'numpy' | 'numpy_short' | 'python';

export interface LogCallPythonCalls extends Measured {
  /** Makes the subject and warms it up. `endpoint` is where a collector, or another receiver, is or is not. */
  start(options: {
    subject: PythonSubject;
    endpoint: string;
    /** In the tables. */
    run: string;
    directory: string;
  }): Promise<void>;
  time(options: { calls: number; mostSeconds: number }): Promise<PythonCallTimes>;
  fill(options: { mostSeconds: number }): Promise<{ full: boolean }>;
  sustain(options: { seconds: number }): Promise<SustainedLoad>;
  stepRate(options: { step: PythonStep; pairs: number; turnSeconds: number }): Promise<StepRate>;
  clock(options: { calls: number }): Promise<{ ns: Percentiles }>;
  flush(): Promise<{ acknowledged: boolean }>;
}

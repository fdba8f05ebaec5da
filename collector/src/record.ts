/**
 * What the write-ahead log keeps, as the stages hand it to each other. Every number here is exact:
 * sequences and times in milliseconds stay below 2^53 (checked where they come in).
 */

/** What is constant for a producer; see `Producer` in collector.proto. */
export interface Producer {
  /** 16 bytes. */
  readonly id: Buffer;
  readonly project: string;
  readonly runId: string;
  readonly job: string;
  readonly host: string;
  readonly pid: number;
  readonly rank: number;
  readonly localRank: number | null;
  readonly worldSize: number | null;
  readonly attempt: number;
  readonly sdkName: string;
  readonly sdkVersion: string;
  readonly labels: ReadonlyMap<string, string>;
  /** Nanoseconds since 1970 as decimal text; empty if unknown. */
  readonly startTimeUnixNano: string;
}

/** Numbers that the producer used up without an event. */
export interface Loss {
  readonly firstSequence: number;
  readonly count: number;
  /** Index into `lossReasons` of @sluice/proto. */
  readonly reason: number;
  readonly detail: string;
  /** Nanoseconds since 1970 as decimal text; empty if the producer did not say. */
  readonly timeUnixNano: string;
}

/** One event that breaks a limit. */
export interface Rejection {
  readonly sequence: number;
  /** Index into `rejectionReasons` of @sluice/proto. */
  readonly reason: number;
  readonly detail: string;
}

/** One request, as it lies in a segment. */
export interface RequestRecord {
  /** Index into the segment's producers. */
  readonly producerIndex: number;
  readonly receivedUnixMs: number;
  readonly firstSequence: number;
  readonly lastSequence: number;
  /** Events in the request, the rejected ones included. */
  readonly eventCount: number;
  readonly lossCount: number;
  /** Ascending by sequence. They are decided once, at the door: a replay under other limits must not differ. */
  readonly rejections: readonly Rejection[];
  /** Bounds of the encoded LogRequest within the segment's bytes. */
  readonly start: number;
  readonly end: number;
}

/** A sealed segment, read back. */
export interface SegmentContents {
  /** UUIDv7; batch id and deduplication token. */
  readonly id: string;
  readonly bytes: Buffer;
  readonly producers: readonly Producer[];
  readonly requests: readonly RequestRecord[];
  readonly eventCount: number;
}

/** Numbers that were acknowledged and cannot be read back. */
export interface DamagedRange {
  /** 16 bytes. */
  readonly producerId: Buffer;
  readonly firstSequence: number;
  readonly lastSequence: number;
}

/** What a segment's file cannot give back. */
export interface Damage {
  /** In words, for people. */
  readonly problem: string;
  /** Ascending by producer and sequence, without overlap with what was read; empty if nobody knows. */
  readonly ranges: readonly DamagedRange[];
}

/** Events of a segment, counted in the order of the log without the rejected ones. */
export interface EventRange {
  readonly from: number;
  /** Behind the last. */
  readonly to: number;
}

/** Why ClickHouse refuses something for good. */
export interface Refusal {
  readonly code: number;
  readonly message: string;
}

export interface RefusedRange extends EventRange {
  readonly refusal: Refusal;
}

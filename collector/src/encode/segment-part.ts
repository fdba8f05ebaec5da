/**
 * A part of a segment, as a batch of its own: the events from..to of the segment, counted in the order
 * of the log, rejected ones not counted. Its batch id is `<segment id>.<from>-<to>`, so that what is in
 * the tables tells which events of a segment are done, whoever did it and however it was cut.
 */
import type { EventRange } from '../record.js';

export interface SegmentPart extends EventRange {
  readonly batchId: string;
}

export function segmentPart(segmentId: string, { from, to }: EventRange): SegmentPart {
  return { from, to, batchId: `${segmentId}.${from}-${to}` };
}

const form = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:\.(?:(\d{1,9})-(\d{1,9})|([a-z-]+)))?$/;

export type BatchName =
  /** The whole segment. */
  | { readonly kind: 'segment'; readonly segmentId: string }
  | { readonly kind: 'part'; readonly segmentId: string; readonly part: SegmentPart }
  /** What is told about a segment's file, such as `<segment id>.damage`. */
  | { readonly kind: 'report'; readonly segmentId: string; readonly report: string };

/** What a batch id names; nothing if it is not one of ours. */
export function readBatchId(batchId: string): BatchName | undefined {
  const [, segmentId, from, to, report] = form.exec(batchId) ?? [];
  if (segmentId === undefined) return undefined;
  if (report !== undefined) return { kind: 'report', segmentId, report };
  if (from === undefined || to === undefined) return { kind: 'segment', segmentId };
  return { kind: 'part', segmentId, part: { from: Number(from), to: Number(to), batchId } };
}

/** The batch id of the rows that report a damaged segment. */
export function damageBatchId(segmentId: string): string {
  return `${segmentId}.damage`;
}

/** The batch id of the report of a segment that was damaged when parts of it had been stored. */
export function lateDamageBatchId(segmentId: string): string {
  return `${segmentId}.late-damage`;
}

/** The parts that batch ids name. */
export function partsOf(batchIds: Iterable<string>): SegmentPart[] {
  return [...batchIds].flatMap((batchId) => {
    const name = readBatchId(batchId);
    return name?.kind === 'part' ? [name.part] : [];
  });
}

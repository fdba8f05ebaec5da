/**
 * First pass over a segment: where each event lies, and in which order the events leave, so that the
 * block is sorted by the table's key (project, run_id, name, rank, time) and the engine skips its
 * own sort.
 *
 * Events are put into groups of one producer and one name, which their producer nearly always sends
 * in order of time; whole groups are ordered, and single events only where a group is out of order.
 * The order is for speed alone: the engine checks it and sorts a block that is not sorted.
 */

import { messageLimits } from '../limits.js';
import { readLosses } from '../losses.js';
import { Cursor } from '../protobuf.js';
import type { EventRange, Producer, RequestRecord, SegmentContents } from '../record.js';
import { defaultName } from './default-name.js';
import { Dictionary } from './dictionary.js';

interface Group {
  readonly producer: number;
  readonly name: number;
  count: number;
  /** Where the group's events start in `order`. */
  offset: number;
}

export class SegmentIndex {
  count = 0;
  /** By event, in the order of the segment. */
  starts = new Uint32Array(0);
  ends = new Uint32Array(0);
  requests = new Uint32Array(0);
  sequences = new Float64Array(0);
  /** Events in the order in which they leave. */
  order = new Uint32Array(0);
  readonly #names = new Dictionary();
  readonly #cursor = new Cursor();
  #groupOf = new Uint32Array(0);
  #timesLow = new Uint32Array(0);
  #timesHigh = new Uint32Array(0);
  #groups: Group[] = [];
  #nameId = 0;

  /** @param expectedEvents room to begin with; it costs memory only as far as segments fill it */
  constructor(expectedEvents = 0) {
    this.#reset(expectedEvents);
  }

  /**
   * Finds the segment's events, or those of a part of it, and the order in which they leave. A part costs
   * what the requests cost that it cuts, not what the segment costs.
   */
  build(segment: SegmentContents, part?: EventRange): void {
    this.scan(segment, part);
    this.#sort(segment);
  }

  /** As `build`, without the order: events stand as they do in the log. */
  scan(segment: SegmentContents, part?: EventRange): void {
    const from = part?.from ?? 0;
    const to = part?.to ?? Number.POSITIVE_INFINITY;
    this.#reset(part === undefined ? segment.eventCount : to - from);
    /** By producer, then by name. */
    const groupIds = new Map<number, number[]>();
    let next = 0;
    for (const [index, request] of segment.requests.entries()) {
      const first = next;
      next += request.eventCount - request.rejections.length;
      if (next <= from) continue;
      if (first >= to) break;
      let ids = groupIds.get(request.producerIndex);
      if (ids === undefined) {
        ids = [];
        groupIds.set(request.producerIndex, ids);
      }
      this.#addRequest(segment.bytes, request, index, ids, from - first, to - first);
    }
  }

  #reset(events: number): void {
    this.count = 0;
    this.#names.clear();
    this.#groups = [];
    if (events <= this.starts.length) return;
    this.starts = new Uint32Array(events);
    this.ends = new Uint32Array(events);
    this.requests = new Uint32Array(events);
    this.sequences = new Float64Array(events);
    this.order = new Uint32Array(events);
    this.#groupOf = new Uint32Array(events);
    this.#timesLow = new Uint32Array(events);
    this.#timesHigh = new Uint32Array(events);
  }

  /** Adds the request's events from..to, counted without the rejected ones. */
  #addRequest(
    bytes: Buffer,
    request: RequestRecord,
    requestIndex: number,
    groupIds: number[],
    from: number,
    to: number,
  ): void {
    const losses =
      request.lossCount > 0 ? readLosses(bytes.subarray(request.start, request.end), messageLimits) : [];
    const { rejections } = request;
    const receivedNano = BigInt(request.receivedUnixMs) * 1_000_000n;
    const receivedLow = Number(receivedNano & 0xffffffffn);
    const receivedHigh = Number(receivedNano >> 32n);
    const cursor = this.#cursor;
    let sequence = request.firstSequence;
    let loss = 0;
    let rejection = 0;
    let taken = 0;
    cursor.reset(bytes, request.start, request.end);
    while (cursor.position < request.end) {
      const tag = cursor.tag();
      if (tag !== 0x1a) {
        cursor.skip(tag);
        continue;
      }
      cursor.bytes();
      while (loss < losses.length && (losses[loss] as { firstSequence: number }).firstSequence <= sequence) {
        sequence += (losses[loss++] as { count: number }).count;
      }
      if (
        rejection < rejections.length &&
        (rejections[rejection] as { sequence: number }).sequence === sequence
      ) {
        rejection++;
        sequence++;
        continue;
      }
      if (taken++ < from) {
        sequence++;
        continue;
      }
      if (taken > to) break;
      const event = this.count++;
      const start = cursor.fieldStart;
      const end = cursor.fieldEnd;
      this.starts[event] = start;
      this.ends[event] = end;
      this.requests[event] = requestIndex;
      this.sequences[event] = sequence++;
      this.#timesLow[event] = receivedLow;
      this.#timesHigh[event] = receivedHigh;
      this.#readKey(bytes, start, end, event);
      let group = groupIds[this.#nameId];
      if (group === undefined) {
        group = this.#groups.length;
        groupIds[this.#nameId] = group;
        this.#groups.push({ producer: request.producerIndex, name: this.#nameId, count: 0, offset: 0 });
      }
      this.#groupOf[event] = group;
      (this.#groups[group] as Group).count++;
      cursor.position = end;
      cursor.end = request.end;
    }
  }

  /** Time and name of an event: at its start in the order in which SDKs write, anywhere otherwise. */
  #readKey(bytes: Buffer, start: number, end: number, event: number): void {
    const cursor = this.#cursor;
    cursor.position = start;
    cursor.end = end;
    let nameStart = start;
    let nameEnd = start;
    while (cursor.position < end) {
      const tag = cursor.tag();
      if (tag === 0x09) {
        cursor.fixed64();
        if (cursor.low !== 0 || cursor.high !== 0) {
          this.#timesLow[event] = cursor.low;
          this.#timesHigh[event] = cursor.high;
        }
      } else if (tag === 0x12) {
        cursor.bytes();
        nameStart = cursor.fieldStart;
        nameEnd = cursor.fieldEnd;
        break;
      } else cursor.skip(tag);
    }
    if (nameStart === nameEnd) {
      this.#nameId = this.#names.idOf(defaultName, 0, defaultName.length);
      return;
    }
    // Most events have the name of the one before.
    if (this.#names.count > 0 && this.#names.equals(this.#nameId, bytes, nameStart, nameEnd)) return;
    this.#nameId = this.#names.idOf(bytes, nameStart, nameEnd);
  }

  #sort(segment: SegmentContents): void {
    const keys = new Map<number, { project: Buffer; runId: Buffer; rank: number }>();
    const keyOf = (producer: number) => {
      let key = keys.get(producer);
      if (key === undefined) {
        const { project, runId, rank } = segment.producers[producer] as Producer;
        key = { project: Buffer.from(project), runId: Buffer.from(runId), rank };
        keys.set(producer, key);
      }
      return key;
    };
    const compare = (a: Group, b: Group): number => {
      const left = keyOf(a.producer);
      const right = keyOf(b.producer);
      return (
        Buffer.compare(left.project, right.project) ||
        Buffer.compare(left.runId, right.runId) ||
        (a.name === b.name ? 0 : Buffer.compare(this.#names.key(a.name), this.#names.key(b.name))) ||
        left.rank - right.rank
      );
    };
    const sorted = [...this.#groups].sort(compare);
    let offset = 0;
    for (const group of sorted) {
      group.offset = offset;
      offset += group.count;
    }
    const fill = this.#groups.map((group) => group.offset);
    for (let event = 0; event < this.count; event++) {
      const group = this.#groupOf[event] as number;
      this.order[fill[group] as number] = event;
      (fill as number[])[group] = (fill[group] as number) + 1;
    }
    // Groups with the same key, such as two attempts of one rank, are one range of the key.
    let first = 0;
    while (first < sorted.length) {
      let next = first + 1;
      while (next < sorted.length && compare(sorted[first] as Group, sorted[next] as Group) === 0) next++;
      const from = (sorted[first] as Group).offset;
      const last = sorted[next - 1] as Group;
      this.#sortByTime(from, last.offset + last.count);
      first = next;
    }
  }

  #sortByTime(from: number, to: number): void {
    const { order } = this;
    const low = this.#timesLow;
    const high = this.#timesHigh;
    const compare = (a: number, b: number): number =>
      (high[a] as number) - (high[b] as number) || (low[a] as number) - (low[b] as number);
    for (let index = from + 1; index < to; index++) {
      if (compare(order[index - 1] as number, order[index] as number) > 0) {
        order.subarray(from, to).sort((a, b) => compare(a, b) || a - b);
        return;
      }
    }
  }
}

/**
 * First pass over a segment: where its events lie, and in which order they leave, so that the block is
 * sorted by the table's key (project, run_id, name, rank, time) and the engine skips its own sort.
 *
 * An entry is a row event, or rows of an `EventBlock` that leave together; nearly always a whole block.
 * Entries are put into groups of one producer and one name, which their producer nearly always sends in
 * order of time; whole groups are ordered, and single rows only where a range of the key is out of order.
 * The order is for speed alone: the engine checks it and sorts a block that is not sorted.
 *
 * Events are counted in the order of the log: by request, then by row event, or by block and row.
 */
import { BlockView, readBlock } from '../event-block.js';
import { messageLimits } from '../limits.js';
import { readLosses } from '../losses.js';
import { Cursor } from '../protobuf.js';
import type { EventRange, Producer, RequestRecord, SegmentContents } from '../record.js';
import { defaultName } from './default-name.js';
import { Dictionary } from './dictionary.js';
import { encodeBlockEvent } from './event-of-block.js';
import { lastIfAscending, orderRows } from './row-order.js';

interface Group {
  readonly producer: number;
  readonly name: number;
  count: number;
  /** Where the group's entries start in `order`. */
  offset: number;
}

/** In `blocks` of an entry that is a row event. */
export const rowEvent = -1;

export class SegmentIndex {
  /** Events. */
  count = 0;
  /** Entries; `scan` makes one of each event. */
  entries = 0;
  /** By entry, in the order of the log: a row event's bounds in the segment, or its rows in its block. */
  starts = new Uint32Array(0);
  ends = new Uint32Array(0);
  /** Place in `views`, or `rowEvent`. */
  blocks = new Int32Array(0);
  requests = new Uint32Array(0);
  /** A row event's number; of rows of a block, the first one's. */
  sequences = new Float64Array(0);
  /** Entries in the order in which they leave; `leaving` of them. */
  order = new Uint32Array(0);
  leaving = 0;
  readonly views: BlockView[] = [];
  readonly #names = new Dictionary();
  readonly #cursor = new Cursor();
  #groupOf = new Uint32Array(0);
  /** Entries by group. */
  #grouped = new Uint32Array(0);
  /** When a row event happened, or the request of rows of a block was received: as a key (row-order.ts), and
   *  its halves. */
  #times = new Float64Array(0);
  #timeHalves = new Uint32Array(0);
  #groups: Group[] = [];
  #nameId = 0;
  #receivedLow = 0;
  #receivedHigh = 0;
  #segment: SegmentContents | undefined;
  #view: DataView | undefined;
  /** A view of this segment to read the next block into. */
  #spare: BlockView | undefined;

  /** @param expectedEvents room to begin with; it costs memory only as far as segments fill it */
  constructor(expectedEvents = 0) {
    this.#reset();
    this.#growTo(expectedEvents);
  }

  /**
   * Finds the segment's events, or those of a part of it, and the order in which they leave. A part costs
   * what the requests cost that it cuts, not what the segment costs.
   */
  build(segment: SegmentContents, part?: EventRange): void {
    this.#read(segment, part, false);
    this.#sort(segment);
  }

  /** Lets go of the segment and of its blocks, so that they do not outlive what is made of them. */
  close(): void {
    this.views.length = 0;
    this.#spare = undefined;
    this.#segment = undefined;
    this.#view = undefined;
  }

  /** As `build`, without the order: an entry for each event, as they stand in the log. */
  scan(segment: SegmentContents, part?: EventRange): void {
    this.#read(segment, part, true);
  }

  /** The encoded `Event` of an entry that `scan` made: the producer's own bytes, or those of a block's row. */
  eventBytes(entry: number): Buffer {
    const block = this.blocks[entry] as number;
    const start = this.starts[entry] as number;
    if (block !== rowEvent) return encodeBlockEvent(this.views[block] as BlockView, start);
    return (this.#segment as SegmentContents).bytes.subarray(start, this.ends[entry]);
  }

  eventSize(entry: number): number {
    if (this.blocks[entry] !== rowEvent) return this.eventBytes(entry).length;
    return (this.ends[entry] as number) - (this.starts[entry] as number);
  }

  #read(segment: SegmentContents, part: EventRange | undefined, isByRow: boolean): void {
    const from = part?.from ?? 0;
    const to = part?.to ?? Number.POSITIVE_INFINITY;
    this.#reset();
    this.#segment = segment;
    this.#view = new DataView(segment.bytes.buffer, segment.bytes.byteOffset, segment.bytes.length);
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
      this.#addRequest(request, { index, groupIds: ids, from: from - first, to: to - first, isByRow });
    }
  }

  #reset(): void {
    this.count = 0;
    this.entries = 0;
    this.leaving = 0;
    this.#names.clear();
    this.#groups = [];
    this.views.length = 0;
    this.#spare = undefined;
  }

  #growTo(entries: number): void {
    if (entries <= this.starts.length) return;
    const size = Math.max(entries, this.starts.length * 2, 1024);
    this.starts = grown(this.starts, new Uint32Array(size));
    this.ends = grown(this.ends, new Uint32Array(size));
    this.blocks = grown(this.blocks, new Int32Array(size));
    this.requests = grown(this.requests, new Uint32Array(size));
    this.sequences = grown(this.sequences, new Float64Array(size));
    this.#groupOf = grown(this.#groupOf, new Uint32Array(size));
    this.#times = grown(this.#times, new Float64Array(size));
    this.#timeHalves = new Uint32Array(this.#times.buffer);
  }

  /** Adds the request's events from..to, counted without the rejected ones. */
  #addRequest(
    request: RequestRecord,
    place: { index: number; groupIds: number[]; from: number; to: number; isByRow: boolean },
  ): void {
    const { bytes } = this.#segment as SegmentContents;
    const { index, groupIds, from, to, isByRow } = place;
    const losses =
      request.lossCount > 0 ? readLosses(bytes.subarray(request.start, request.end), messageLimits) : [];
    const { rejections } = request;
    let rejected: ReadonlySet<number> | undefined;
    const receivedNano = BigInt(request.receivedUnixMs) * 1_000_000n;
    this.#receivedLow = Number(receivedNano & 0xffffffffn);
    this.#receivedHigh = Number(receivedNano >> 32n);
    const cursor = this.#cursor;
    let sequence = request.firstSequence;
    let loss = 0;
    let rejection = 0;
    let taken = 0;
    cursor.reset(bytes, request.start, request.end);
    while (cursor.position < request.end) {
      const tag = cursor.tag();
      if (tag === 0x22) {
        cursor.bytes();
        // Once a request: it may have as many blocks as rejected events.
        rejected ??= rejectedOf(request);
        taken += this.#addBlock(request, {
          start: cursor.fieldStart,
          end: cursor.fieldEnd,
          index,
          groupIds,
          from: from - taken,
          to: to - taken,
          isByRow,
          rejected,
        });
        if (taken >= to) break;
        continue;
      }
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
      const start = cursor.fieldStart;
      const end = cursor.fieldEnd;
      const entry = this.#addEntry(index, rowEvent, start, end, sequence++);
      this.count++;
      this.#readKey(bytes, start, end, entry);
      this.#join(entry, request.producerIndex, groupIds);
      cursor.position = end;
      cursor.end = request.end;
    }
  }

  #addEntry(request: number, block: number, start: number, end: number, sequence: number): number {
    const entry = this.entries++;
    if (entry === this.starts.length) this.#growTo(entry + 1);
    this.starts[entry] = start;
    this.ends[entry] = end;
    this.blocks[entry] = block;
    this.requests[entry] = request;
    this.sequences[entry] = sequence;
    this.#timeHalves[entry * 2] = this.#receivedLow;
    this.#timeHalves[entry * 2 + 1] = this.#receivedHigh;
    return entry;
  }

  #join(entry: number, producer: number, groupIds: number[]): void {
    let group = groupIds[this.#nameId];
    if (group === undefined) {
      group = this.#groups.length;
      groupIds[this.#nameId] = group;
      this.#groups.push({ producer, name: this.#nameId, count: 0, offset: 0 });
    }
    this.#groupOf[entry] = group;
    (this.#groups[group] as Group).count++;
  }

  /** Adds the block's rows from..to, counted without the rejected ones; returns how many it has up to `to`. */
  #addBlock(
    request: RequestRecord,
    place: {
      start: number;
      end: number;
      index: number;
      groupIds: number[];
      from: number;
      to: number;
      isByRow: boolean;
      rejected: ReadonlySet<number> | undefined;
    },
  ): number {
    const { bytes } = this.#segment as SegmentContents;
    const block = this.#spare ?? new BlockView(bytes, this.#view as DataView);
    this.#spare = undefined;
    const problem = readBlock(block, place.start, place.end);
    // The door let it in, and the log's checksum says that these are the same bytes.
    if (problem !== '') throw new Error(`a block in the log cannot be read: ${problem}`);
    const view = this.views.push(block) - 1;
    const entries = this.entries;
    this.#findName(bytes, block.nameStart, block.nameEnd);
    const { rejected } = place;
    const isWhole = rejected === undefined && place.from <= 0 && place.to >= block.count;
    const add = (from: number, to: number): void => {
      const sequence = request.firstSequence + block.offsetAt(from);
      const entry = this.#addEntry(place.index, view, from, to, sequence);
      this.count += to - from;
      this.#join(entry, request.producerIndex, place.groupIds);
    };
    if (isWhole && !place.isByRow) {
      add(0, block.count);
      return block.count;
    }
    let taken = 0;
    let first = 0;
    let last = 0;
    let isOpen = false;
    for (let row = 0; row < block.count && taken < place.to; row++) {
      const isRejected = rejected?.has(request.firstSequence + block.offsetAt(row)) === true;
      const isOurs = !isRejected && taken >= place.from;
      if (!isRejected) taken++;
      if (isOpen && (!isOurs || place.isByRow)) {
        add(first, row);
        isOpen = false;
      }
      if (isOurs && !isOpen) first = row;
      isOpen = isOurs;
      last = row + 1;
    }
    if (isOpen) add(first, last);
    if (this.entries === entries) {
      // Nothing of it leaves: its names, which may be many, are not kept.
      this.views.pop();
      block.clear();
      this.#spare = block;
    }
    return taken;
  }

  /** Time and name of an event: at its start in the order in which SDKs write, anywhere otherwise. */
  #readKey(bytes: Buffer, start: number, end: number, entry: number): void {
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
          this.#timeHalves[entry * 2] = cursor.low;
          this.#timeHalves[entry * 2 + 1] = cursor.high;
        }
      } else if (tag === 0x12) {
        cursor.bytes();
        nameStart = cursor.fieldStart;
        nameEnd = cursor.fieldEnd;
        break;
      } else cursor.skip(tag);
    }
    this.#findName(bytes, nameStart, nameEnd);
  }

  #findName(bytes: Buffer, start: number, end: number): void {
    if (start === end) {
      this.#nameId = this.#names.idOf(defaultName, 0, defaultName.length);
      return;
    }
    // Most events have the name of the one before.
    if (this.#names.count > 0 && this.#names.equals(this.#nameId, bytes, start, end)) return;
    this.#nameId = this.#names.idOf(bytes, start, end);
  }

  #sort(segment: SegmentContents): void {
    // Texts are compared once for each producer and each name, not for each pair of the many groups that they make.
    const places = producerPlaces(segment.producers);
    const names = this.#namePlaces();
    const compare = (a: Group, b: Group): number =>
      (places[a.producer] as number) - (places[b.producer] as number) ||
      (names[a.name] as number) - (names[b.name] as number) ||
      (segment.producers[a.producer] as Producer).rank - (segment.producers[b.producer] as Producer).rank;
    const sorted = [...this.#groups].sort(compare);
    let offset = 0;
    for (const group of sorted) {
      group.offset = offset;
      offset += group.count;
    }
    const fill = this.#groups.map((group) => group.offset);
    const grouped = this.#grouped.length < this.entries ? new Uint32Array(this.starts.length) : this.#grouped;
    this.#grouped = grouped;
    for (let entry = 0; entry < this.entries; entry++) {
      const group = this.#groupOf[entry] as number;
      grouped[fill[group] as number] = entry;
      (fill as number[])[group] = (fill[group] as number) + 1;
    }
    // Groups with the same key, such as two attempts of one rank, are one range of the key.
    let first = 0;
    while (first < sorted.length) {
      let next = first + 1;
      while (next < sorted.length && compare(sorted[first] as Group, sorted[next] as Group) === 0) next++;
      const last = sorted[next - 1] as Group;
      const range = grouped.subarray((sorted[first] as Group).offset, last.offset + last.count);
      if (this.#isInOrder(range)) this.#leave(range);
      else this.#leaveByTime(range);
      first = next;
    }
  }

  /** By number of a name, its place in the order of the names. */
  #namePlaces(): Uint32Array {
    const numbers = Array.from({ length: this.#names.count }, (_, name) => name);
    return placesOf(numbers, (a, b) => Buffer.compare(this.#names.key(a), this.#names.key(b)));
  }

  #leave(entries: Uint32Array): void {
    this.#reserveOrder(entries.length);
    this.order.set(entries, this.leaving);
    this.leaving += entries.length;
  }

  #reserveOrder(more: number): void {
    const needed = this.leaving + more;
    if (needed <= this.order.length) return;
    const size = Math.max(needed, this.order.length * 2, this.starts.length);
    this.order = grown(this.order.subarray(0, this.leaving), new Uint32Array(size));
  }

  /** Whether the entries of a range of the key leave in order of time as they are. */
  #isInOrder(entries: Uint32Array): boolean {
    let before = Number.NEGATIVE_INFINITY;
    for (const entry of entries) {
      const block = this.blocks[entry] as number;
      if (block === rowEvent) {
        const time = this.#times[entry] as number;
        if (!(before <= time)) return false;
        before = time;
        continue;
      }
      const view = this.views[block] as BlockView;
      before = lastIfAscending(view, this.starts[entry] as number, this.ends[entry] as number, before);
      if (Number.isNaN(before)) return false;
    }
    return true;
  }

  /** The rows of a range leave by time; a block of which only some leave at a time gets entries for them. */
  #leaveByTime(entries: Uint32Array): void {
    const runs = orderRows(entries, {
      views: this.views,
      blocks: this.blocks,
      starts: this.starts,
      ends: this.ends,
      times: this.#times,
    });
    this.#reserveOrder(runs.length);
    for (let run = 0; run < runs.length; run++) {
      this.order[this.leaving++] = this.#leaveAs(runs.entries[run] as number, runs, run);
    }
  }

  /** The entry itself if it leaves whole, or a new one for some of its rows. */
  #leaveAs(source: number, runs: { from: Uint32Array; to: Uint32Array }, run: number): number {
    const block = this.blocks[source] as number;
    if (block === rowEvent) return source;
    const from = runs.from[run] as number;
    const to = runs.to[run] as number;
    if (from === this.starts[source] && to === this.ends[source]) return source;
    const request = this.requests[source] as number;
    const { firstSequence } = (this.#segment as SegmentContents).requests[request] as RequestRecord;
    const sequence = firstSequence + (this.views[block] as BlockView).offsetAt(from);
    const entry = this.#addEntry(request, block, from, to, sequence);
    this.#times[entry] = this.#times[source] as number;
    return entry;
  }
}

/** By index of a producer, the place of its project and run in the order of the table's key; equal for the same run. */
function producerPlaces(producers: readonly Producer[]): Uint32Array {
  const keys = producers.map(({ project, runId }) => [Buffer.from(project), Buffer.from(runId)] as const);
  return placesOf([...keys.keys()], (a, b) => {
    const [leftProject, leftRun] = keys[a] as (typeof keys)[number];
    const [rightProject, rightRun] = keys[b] as (typeof keys)[number];
    return Buffer.compare(leftProject, rightProject) || Buffer.compare(leftRun, rightRun);
  });
}

/** By item, its place once they are sorted; equal items have one place. */
function placesOf(items: number[], compare: (a: number, b: number) => number): Uint32Array {
  const places = new Uint32Array(items.length);
  const sorted = items.sort(compare);
  let place = 0;
  for (const [at, item] of sorted.entries()) {
    if (at > 0 && compare(sorted[at - 1] as number, item) !== 0) place++;
    places[item] = place;
  }
  return places;
}

/** The numbers of a request's rejected events; undefined if there are none, which is nearly always. */
function rejectedOf({ rejections }: RequestRecord): ReadonlySet<number> | undefined {
  if (rejections.length === 0) return undefined;
  return new Set(rejections.map(({ sequence }) => sequence));
}

function grown<Numbers extends Uint32Array | Int32Array | Float64Array>(from: Numbers, to: Numbers): Numbers {
  to.set(from);
  return to;
}

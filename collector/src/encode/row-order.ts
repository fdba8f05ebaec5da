/**
 * The order of rows by time, where their entries are not in it: rows of several producers with one key,
 * or events whose time their job gave itself.
 *
 * A time, 64 bits of nanoseconds, is compared as the double that has the same bits: below 0x7ff0… these
 * ascend as the integers do, and it is one load instead of two halves. Times behind that (year 2262) are no
 * numbers; they compare as out of order, and the engine sorts them.
 */
import type { BlockView } from '../event-block.js';

const chunkRows = 1024;
const halves = new Uint32Array(chunkRows * 2);
/** The same times as keys. */
const keyChunk = new Float64Array(halves.buffer);

/**
 * Whether rows from..to ascend from `before` on, and each has a time of its own: then the last one's key, which
 * is never NaN; otherwise NaN.
 */
export function lastIfAscending({ times }: BlockView, from: number, to: number, before: number): number {
  let last = before;
  for (let row = from; row < to; row += chunkRows) {
    const rows = Math.min(chunkRows, to - row);
    times.copy(row, row + rows, halves, 0);
    for (let at = 0; at < rows; at++) {
      const time = keyChunk[at] as number;
      if (!(last <= time) || time === 0) return Number.NaN;
      last = time;
    }
  }
  return last;
}

export interface RowSources {
  readonly views: readonly BlockView[];
  /** By entry; see SegmentIndex. */
  readonly blocks: Int32Array;
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
  /** By entry: a row event's time, or when the rows of a block without times were received. */
  readonly times: Float64Array;
}

export interface RowRuns {
  readonly length: number;
  readonly entries: Uint32Array;
  /** Rows of the entry's block; of a row event, nothing. */
  readonly from: Uint32Array;
  readonly to: Uint32Array;
}

/** The rows of the entries, which stand in the order of the log, by time; neighbours of one block together. */
export function orderRows(entries: Uint32Array, sources: RowSources): RowRuns {
  const { views, blocks, starts, ends, times } = sources;
  let count = 0;
  for (const entry of entries) {
    count += (blocks[entry] as number) < 0 ? 1 : (ends[entry] as number) - (starts[entry] as number);
  }
  const keys = new Float64Array(count);
  const keyHalves = new Uint32Array(keys.buffer);
  const owners = new Uint32Array(count);
  const rows = new Uint32Array(count);
  let at = 0;
  for (const entry of entries) {
    const block = blocks[entry] as number;
    const from = block < 0 ? 0 : (starts[entry] as number);
    const to = block < 0 ? 1 : (ends[entry] as number);
    if (block >= 0) (views[block] as BlockView).times.copy(from, to, keyHalves, at * 2);
    for (let row = from; row < to; row++) {
      if (keys[at] === 0) keys[at] = times[entry] as number;
      owners[at] = entry;
      rows[at++] = row;
    }
  }
  const sorted = sortedPlaces(keys);
  const runs = { entries: new Uint32Array(count), from: new Uint32Array(count), to: new Uint32Array(count) };
  let length = 0;
  let owner = -1;
  for (let place = 0; place < count; place++) {
    const index = sorted[place] as number;
    const row = rows[index] as number;
    if (owners[index] === owner && row === runs.to[length - 1]) {
      (runs.to as Uint32Array)[length - 1] = row + 1;
      continue;
    }
    owner = owners[index] as number;
    runs.entries[length] = owner;
    runs.from[length] = row;
    runs.to[length++] = row + 1;
  }
  return { length, ...runs };
}

/**
 * Places of the keys in ascending order; equal keys keep theirs. A natural merge sort: each entry's rows
 * ascend nearly always, so there are few runs to merge, and none of it calls back.
 */
function sortedPlaces(keys: Float64Array): Uint32Array {
  const count = keys.length;
  let from = Uint32Array.from(keys, (_, place) => place);
  let to = new Uint32Array(count);
  let starts = runStarts(keys);
  while (starts.length > 2) {
    const merged = [0];
    for (let run = 0; run + 1 < starts.length; run += 2) {
      const start = starts[run] as number;
      const middle = starts[run + 1] as number;
      const end = starts[run + 2] ?? middle;
      merge(keys, from, to, start, middle, end);
      merged.push(end);
    }
    starts = merged;
    [from, to] = [to, from];
  }
  return from;
}

/** Where runs of ascending keys start, and the end of the last one. */
function runStarts(keys: Float64Array): number[] {
  const starts = [0];
  for (let place = 1; place < keys.length; place++) {
    if (!((keys[place - 1] as number) <= (keys[place] as number))) starts.push(place);
  }
  if (keys.length > 0) starts.push(keys.length);
  return starts;
}

function merge(
  keys: Float64Array,
  from: Uint32Array,
  to: Uint32Array,
  start: number,
  middle: number,
  end: number,
): void {
  let left = start;
  let right = middle;
  for (let at = start; at < end; at++) {
    const takesLeft =
      left < middle &&
      (right >= end || !((keys[from[right] as number] as number) < (keys[from[left] as number] as number)));
    to[at] = from[takesLeft ? left++ : right++] as number;
  }
}

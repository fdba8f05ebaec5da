import { parts } from './shape.js';

/**
 * What an event is counted as in a block, wherever it is counted: its share of every array, a byte for its severity,
 * and its texts with their lengths. Numbers that travel as differences count as the longest there are, and attributes
 * in full for every event even where they are sent once, so that the size of an event does not depend on what its
 * neighbours have, and a block is never larger than its sum.
 */

/** The longest difference of 32 bits, and of 64. */
const offsetBytes = 5;
const timeBytes = 10;
const stepBytes = 10;

/** Of an event with these parts and so many metrics, without its texts. */
export function eventRowBytes(given: number, metrics: number): number {
  return (
    offsetBytes +
    timeBytes +
    1 +
    8 * metrics +
    ((given & parts.step) !== 0 ? stepBytes : 0) +
    ((given & parts.traceId) !== 0 ? 16 : 0) +
    ((given & parts.spanId) !== 0 ? 8 : 0)
  );
}

/** Tags and lengths of a block's fields and its count are never more. */
const fieldHeads = 64;

/** Of a block without its events; given are the fields that hold its names. */
export function blockHeadBytes(
  name: Uint8Array,
  metricNames: Uint8Array,
  attributeNames: Uint8Array,
): number {
  return name.length + metricNames.length + attributeNames.length + fieldHeads;
}

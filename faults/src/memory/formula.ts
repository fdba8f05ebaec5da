/** What each number of each model producer is, so that the oracle can say it again from the number alone. */
import { producerId } from '@sluice/collector/testing/wire.js';

export type NumberKind = 'event' | 'rejected' | 'lost';

function mixed(producer: number, sequence: number): number {
  let value = Math.imul(producer * 2654435761, 0x85ebca6b) ^ Math.imul(sequence, 0xc2b2ae35);
  value = Math.imul(value ^ (value >>> 15), 0x2c1b3c6d);
  return (value ^ (value >>> 13)) >>> 0;
}

/** Most are events; some the door rejects, and some the producer gave up before it sent them. */
export function kindOf(producer: number, sequence: number): NumberKind {
  const draw = mixed(producer, sequence) % 23;
  return draw === 0 ? 'rejected' : draw === 1 ? 'lost' : 'event';
}

/** The encoded `Event` of a number. */
export function eventOf(producer: number, sequence: number): Buffer {
  const draw = mixed(producer, sequence + 1_000_003);
  const body = Buffer.from(`${producer}:${sequence}:${'x'.repeat(draw % 90)}`);
  const severity = kindOf(producer, sequence) === 'rejected' ? 99 : 9;
  const event = Buffer.alloc(9 + 3 + 2 + 2 + body.length);
  event[0] = 0x09;
  event.writeUInt32LE(draw, 1);
  event.set([0x12, 1, 0x6d, 0x18, severity, 0x22, body.length], 9);
  body.copy(event, 16);
  return event;
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let left = value;
  for (; left >= 0x80; left = Math.floor(left / 128)) bytes.push((left % 128) | 0x80);
  bytes.push(left);
  return bytes;
}

function field(tag: number, content: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([tag, ...varint(content.length)]), content]);
}

/** The encoded `Producer` as a field of a request. */
function producerField(producer: number): Buffer {
  return field(0x0a, Buffer.concat([field(0x0a, producerId(producer)), field(0x12, Buffer.from('faults'))]));
}

function lossField(first: number, count: number): Buffer {
  // Reason 1: the buffer was full.
  return field(0x2a, Buffer.from([0x08, ...varint(first), 0x10, ...varint(count), 0x18, 1]));
}

/**
 * Whether a request that begins with a number is one of blocks: so its numbers and no other draw decide, and a
 * request that is encoded anew is of the same kind only if it begins where it began.
 */
function isOfBlocks(producer: number, first: number): boolean {
  return mixed(producer, first + 7_000_003) % 2 === 0;
}

/** Ascending numbers as differences, and any in zigzag. */
function differences(values: readonly number[], isSigned: boolean): Buffer {
  return Buffer.from(
    values.flatMap((value, index) => {
      const difference = value - (values[index - 1] ?? 0);
      return varint(isSigned ? (difference < 0 ? -2 * difference - 1 : 2 * difference) : difference);
    }),
  );
}

/** The `EventBlock` of these events; what it holds is taken from the events as they would be encoded alone. */
function blockField(producer: number, first: number, sequences: readonly number[]): Buffer {
  const events = sequences.map((sequence) => eventOf(producer, sequence));
  return field(
    0x22,
    Buffer.concat([
      field(0x0a, Buffer.from('m')),
      Buffer.from([0x10, ...varint(events.length)]),
      field(0x32, Buffer.from(events.map((event) => event[13] as number))),
      // A body as it lies in the event: its length, and its text.
      field(0x3a, Buffer.concat(events.map((event) => event.subarray(15)))),
      field(
        0x72,
        differences(
          sequences.map((sequence) => sequence - first),
          false,
        ),
      ),
      field(
        0x7a,
        differences(
          events.map((event) => event.readUInt32LE(1)),
          true,
        ),
      ),
    ]),
  );
}

/** A request for the numbers from `first` to `last`; `isGivenUp` says which of them are lost besides. */
export function encodeNumbers(
  producer: number,
  { first, last, isGivenUp }: { first: number; last: number; isGivenUp: (sequence: number) => boolean },
): Buffer {
  const parts = [producerField(producer), Buffer.from([0x10, ...varint(first)])];
  let lostFrom = 0;
  /** The events of blocks, dealt out in turn: their numbers lie between each other's. */
  const dealt: number[][] | undefined = isOfBlocks(producer, first)
    ? Array.from({ length: 1 + (first % 3) }, () => [])
    : undefined;
  let events = 0;
  const endLoss = (next: number): void => {
    if (lostFrom > 0) parts.push(lossField(lostFrom, next - lostFrom));
    lostFrom = 0;
  };
  for (let sequence = first; sequence <= last; sequence++) {
    if (isGivenUp(sequence) || kindOf(producer, sequence) === 'lost') {
      if (lostFrom === 0) lostFrom = sequence;
    } else {
      endLoss(sequence);
      if (dealt === undefined) parts.push(field(0x1a, eventOf(producer, sequence)));
      else dealt[events++ % dealt.length]?.push(sequence);
    }
  }
  endLoss(last + 1);
  for (const sequences of dealt ?? [])
    if (sequences.length > 0) parts.push(blockField(producer, first, sequences));
  return Buffer.concat(parts);
}

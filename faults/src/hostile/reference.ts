/**
 * A second reading of LogRequest, by the book and without regard to speed: what the collector accepts
 * must mean this. It shares no code with the collector. (protobuf.js would not do: it takes a field of a
 * wrong wire type for the field, where the specification takes it for an unknown one.)
 */

import { type ReferenceBlock, readBlock } from './reference-blocks.js';

interface Field {
  readonly tag: number;
  /** Of a varint, a 32-bit or a 64-bit field. */
  readonly number: bigint;
  /** Of a length-delimited field. */
  readonly bytes: Buffer;
}

export interface ReferenceEvent {
  readonly timeUnixNano: bigint;
  readonly name: string;
  readonly severity: number;
  readonly body: string;
  readonly step: bigint | undefined;
  /** Bits of the doubles by key; every NaN is the same. */
  readonly metrics: ReadonlyMap<string, string>;
  readonly attributes: ReadonlyMap<string, string>;
  readonly traceId: string;
  readonly spanId: string;
}

export interface ReferenceLoss {
  readonly firstSequence: bigint;
  readonly count: bigint;
  /** Whether its detail is UTF-8. */
  readonly isText: boolean;
}

export interface ReferenceRequest {
  readonly producer: Buffer | undefined;
  readonly firstSequence: bigint;
  /** Of blocks: block by block, row by row. */
  readonly events: readonly ReferenceEvent[];
  readonly losses: readonly ReferenceLoss[];
  readonly blocks: readonly ReferenceBlock[];
  readonly rowEvents: number;
}

const none = Buffer.alloc(0);

export function* fieldsOf(bytes: Buffer): Generator<Field> {
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let index = 0n; index < 10n; index++) {
      const byte = bytes[at++];
      if (byte === undefined) throw new Error('a varint is cut short');
      value |= BigInt(byte & 0x7f) << (index * 7n);
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new Error('a varint is longer than 10 bytes');
  };
  const take = (count: bigint): Buffer => {
    if (count > BigInt(bytes.length - at)) throw new Error('a field is cut short');
    at += Number(count);
    return bytes.subarray(at - Number(count), at);
  };
  while (at < bytes.length) {
    const tag = varint();
    if (tag < 8n || tag > 0xffff_ffffn) throw new Error('a tag is out of range');
    const field = { tag: Number(tag), number: 0n, bytes: none };
    switch (tag & 7n) {
      case 0n:
        yield { ...field, number: varint() };
        break;
      case 1n:
        yield { ...field, number: take(8n).readBigUInt64LE() };
        break;
      case 2n:
        yield { ...field, bytes: take(varint()) };
        break;
      case 5n:
        yield { ...field, number: BigInt(take(4n).readUInt32LE()) };
        break;
      default:
        throw new Error('groups are not in this contract');
    }
  }
}

export function readRequest(bytes: Buffer): ReferenceRequest {
  const producers: Buffer[] = [];
  const events: ReferenceEvent[] = [];
  const losses: ReferenceLoss[] = [];
  let firstSequence = 0n;
  const blocks: ReferenceBlock[] = [];
  for (const { tag, number, bytes: value } of fieldsOf(bytes)) {
    if (tag === 0x0a) producers.push(value);
    else if (tag === 0x10) firstSequence = number;
    else if (tag === 0x1a) events.push(readEvent(value));
    else if (tag === 0x22) blocks.push(readBlock(value));
    else if (tag === 0x2a) losses.push(readLoss(value));
  }
  const producer = producers.length === 0 ? undefined : Buffer.concat(producers);
  const rowEvents = events.length;
  for (const block of blocks) events.push(...block.events);
  return { producer, firstSequence, events, losses, blocks, rowEvents };
}

export function producerIdOf(producer: Buffer): Buffer {
  let id: Buffer = none;
  for (const { tag, bytes } of fieldsOf(producer)) if (tag === 0x0a) id = bytes;
  return id;
}

export function readEvent(bytes: Buffer): ReferenceEvent {
  const event = {
    timeUnixNano: 0n,
    name: '',
    severity: 0,
    body: '',
    step: undefined as bigint | undefined,
    metrics: new Map<string, string>(),
    attributes: new Map<string, string>(),
    traceId: '',
    spanId: '',
  };
  for (const { tag, number, bytes: value } of fieldsOf(bytes)) {
    if (tag === 0x09) event.timeUnixNano = number;
    else if (tag === 0x12) event.name = value.toString();
    else if (tag === 0x18) event.severity = Number(number);
    else if (tag === 0x22) event.body = value.toString();
    else if (tag === 0x28) event.step = BigInt.asIntN(64, (number >> 1n) ^ -(number & 1n));
    else if (tag === 0x32) readMetric(value, event.metrics);
    else if (tag === 0x3a) readAttribute(value, event.attributes);
    else if (tag === 0x42) event.traceId = value.toString('hex');
    else if (tag === 0x4a) event.spanId = value.toString('hex');
  }
  return { ...event, name: event.name || 'log', severity: event.severity || 9 };
}

function readMetric(bytes: Buffer, metrics: Map<string, string>): void {
  let key = '';
  let bits = 0n;
  for (const { tag, number, bytes: value } of fieldsOf(bytes)) {
    if (tag === 0x0a) key = value.toString();
    else if (tag === 0x11) bits = number;
  }
  metrics.set(key, doubleText(bits));
}

function readAttribute(bytes: Buffer, attributes: Map<string, string>): void {
  let key = '';
  let text = '';
  for (const { tag, bytes: value } of fieldsOf(bytes)) {
    if (tag === 0x0a) key = value.toString();
    else if (tag === 0x12) text = value.toString();
  }
  attributes.set(key, text);
}

function readLoss(bytes: Buffer): ReferenceLoss {
  let firstSequence = 0n;
  let count = 0n;
  let isText = true;
  for (const { tag, number, bytes: value } of fieldsOf(bytes)) {
    if (tag === 0x08) firstSequence = number;
    else if (tag === 0x10) count = number;
    else if (tag === 0x22 && value.toString().includes('\ufffd')) isText = false;
  }
  return { firstSequence, count, isText };
}

/** A double's bits in decimal; every NaN is the same. */
export function doubleText(bits: bigint): string {
  const isNan = ((bits >> 52n) & 0x7ffn) === 0x7ffn && (bits & 0xf_ffff_ffff_ffffn) !== 0n;
  return isNan ? 'nan' : String(bits);
}

/** Numbers of the events, in their order: those that no loss covers, or those that their blocks say. */
export function sequencesOf(request: ReferenceRequest): bigint[] {
  if (request.blocks.length > 0)
    return request.blocks.flatMap(({ offsets }) => offsets.map((offset) => request.firstSequence + offset));
  let next = request.firstSequence;
  let at = 0;
  return request.events.map(() => {
    for (let loss = request.losses[at]; loss?.firstSequence === next; loss = request.losses[++at])
      next += loss.count;
    return next++;
  });
}

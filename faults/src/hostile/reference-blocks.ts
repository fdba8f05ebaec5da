/**
 * A second reading of EventBlock, by the contract's words and without regard to speed, and a second judgement
 * of a request of blocks. It shares no code with the collector.
 */
import { doubleText, fieldsOf, type ReferenceEvent, type ReferenceLoss, readRequest } from './reference.js';

export interface ReferenceBlock {
  /** By row: added to first_sequence. */
  readonly offsets: readonly bigint[];
  readonly events: readonly ReferenceEvent[];
  /** By row: whether it breaks a limit. */
  readonly rejected: readonly boolean[];
  /** What it adds to the size of its request; see LogRequest.blocks. */
  readonly expansion: bigint;
}

const none = Buffer.alloc(0);
const MiB = 1024 * 1024;
const mostNames = 10_000;
const mostKeys = 1024;
const mostNameBytes = 256;

interface Fields {
  name: Buffer;
  count: bigint;
  severities: Buffer;
  bodies: Buffer;
  attributes: Buffer;
  readonly metricNames: Buffer[];
  readonly attributeNames: Buffer[];
  traceIds: Buffer;
  spanIds: Buffer;
  /** By tag; each may come once. */
  readonly arrays: Map<number, Buffer>;
}

const tags = { offset: 0x72, time: 0x7a, step: 0x82, metric: 0x4a } as const;
const arrayTags: readonly number[] = Object.values(tags);
/** The arrays' fields with the wire type of a single number. */
const unpackedTags: readonly number[] = [0x70, 0x78, 0x80, 0x49];

function fieldsOfBlock(bytes: Buffer): Fields {
  const found: Fields = {
    name: none,
    count: 0n,
    severities: none,
    bodies: none,
    attributes: none,
    metricNames: [],
    attributeNames: [],
    traceIds: none,
    spanIds: none,
    arrays: new Map(),
  };
  for (const { tag, number, bytes: value } of fieldsOf(bytes)) {
    if (unpackedTags.includes(tag)) throw new Error('an array is not packed');
    if (arrayTags.includes(tag)) {
      if (found.arrays.has(tag)) throw new Error('an array comes in pieces');
      found.arrays.set(tag, value);
    }
    if (tag === 0x0a) found.name = value;
    else if (tag === 0x10) found.count = number;
    else if (tag === 0x32) found.severities = value;
    else if (tag === 0x3a) found.bodies = value;
    else if (tag === 0x42) found.metricNames.push(value);
    else if (tag === 0x52) found.attributeNames.push(value);
    else if (tag === 0x5a) found.attributes = value;
    else if (tag === 0x62) found.traceIds = value;
    else if (tag === 0x6a) found.spanIds = value;
  }
  return found;
}

export function readBlock(bytes: Buffer): ReferenceBlock {
  const fields = fieldsOfBlock(bytes);
  const { name, metricNames, attributeNames } = fields;
  if (fields.count < 1n || fields.count > 1_000_000n) throw new Error('the count is out of range');
  const count = Number(fields.count);
  const array = (tag: number, width: number, isOptional: boolean): Buffer | undefined => {
    const value = fields.arrays.get(tag) ?? none;
    if (isOptional && value.length === 0) return undefined;
    if (value.length !== count * width) throw new Error(`array ${tag} has a wrong length`);
    return value;
  };
  const ids = (value: Buffer, width: number): Buffer | undefined => {
    if (value.length !== 0 && value.length !== count * width) throw new Error('ids have a wrong length');
    return value.length === 0 ? undefined : value;
  };
  const numbers = (tag: number, isSigned: boolean): bigint[] => {
    const found = sumsOf(fields.arrays.get(tag) ?? none, isSigned);
    if (found.length !== count) throw new Error(`array ${tag} holds ${found.length} numbers, not ${count}`);
    return found;
  };
  const offsets = numbers(tags.offset, false);
  const times = numbers(tags.time, true);
  const steps = (fields.arrays.get(tags.step) ?? none).length === 0 ? undefined : numbers(tags.step, true);
  const metrics = array(tags.metric, 8 * metricNames.length, metricNames.length === 0);
  if (metricNames.length === 0 && metrics !== undefined) throw new Error('metrics without names');
  const traceIds = ids(fields.traceIds, 16);
  const spanIds = ids(fields.spanIds, 8);
  const { severities } = fields;
  if (severities.length > 1 && severities.length !== count) throw new Error('severities have a wrong length');
  for (const names of [metricNames, attributeNames]) {
    if (names.length > mostNames) throw new Error('too many names');
    if (new Set(names.map((one) => one.toString('latin1'))).size < names.length)
      throw new Error('a name comes twice');
  }
  const bodies = fields.bodies.length === 0 ? undefined : textsOf(fields.bodies);
  if (bodies !== undefined && bodies.length !== count) throw new Error('the number of bodies is wrong');
  const texts = textsOf(fields.attributes);
  const isShared = texts.length === attributeNames.length;
  if (!isShared && texts.length !== attributeNames.length * count)
    throw new Error('the number of attributes is wrong');

  const keys = [...metricNames, ...attributeNames];
  const isShapeBad =
    name.length > mostNameBytes ||
    !isText(name) ||
    keys.length > mostKeys ||
    keys.some((key) => key.length === 0 || key.length > mostNameBytes || !isText(key));
  const shapeBytes = name.length + keys.reduce((sum, key) => sum + key.length, 0) + metricNames.length * 8;
  const events: ReferenceEvent[] = [];
  const rejected: boolean[] = [];
  for (let row = 0; row < count; row++) {
    const from = isShared ? 0 : row * attributeNames.length;
    const own = texts.slice(from, from + attributeNames.length);
    const body = bodies?.[row] ?? { text: none, size: 0 };
    const severity =
      severities.length === 0 ? 9 : (severities[severities.length === 1 ? 0 : row] as number) || 9;
    const time = times[row] as bigint;
    const size = shapeBytes + body.size + own.reduce((sum, one) => sum + one.size, 0);
    rejected.push(
      isShapeBad ||
        time >= 1n << 63n ||
        severity > 24 ||
        size > MiB ||
        !isText(body.text) ||
        own.some(({ text }) => !isText(text)),
    );
    events.push({
      timeUnixNano: time,
      name: name.toString() || 'log',
      severity,
      body: body.text.toString(),
      step: steps === undefined ? undefined : BigInt.asIntN(64, steps[row] as bigint),
      metrics: new Map(
        metricNames.map((key, at) => [
          key.toString(),
          doubleText((metrics as Buffer).readBigUInt64LE((row * metricNames.length + at) * 8)),
        ]),
      ),
      attributes: new Map(
        attributeNames.map((key, at) => [key.toString(), own[at]?.text.toString() as string]),
      ),
      traceId: traceIds?.toString('hex', row * 16, row * 16 + 16) ?? '',
      spanId: spanIds?.toString('hex', row * 8, row * 8 + 8) ?? '',
    });
  }
  const shared = isShared ? BigInt(count - 1) * BigInt(fields.attributes.length) : 0n;
  return { offsets, events, rejected, expansion: 512n + BigInt(keys.length) * 16n + shared };
}

/** The sums of differences, modulo 2^64. */
function sumsOf(bytes: Buffer, isSigned: boolean): bigint[] {
  const sums: bigint[] = [];
  let sum = 0n;
  for (let at = 0; at < bytes.length; ) {
    let value = 0n;
    for (let index = 0n; ; index++) {
      const byte = bytes[at++];
      if (byte === undefined || index > 9n) throw new Error('a difference is cut short or too long');
      value |= BigInt(byte & 0x7f) << (index * 7n);
      if (byte < 0x80) break;
    }
    value = BigInt.asUintN(64, value);
    if (isSigned) value = (value & 1n) === 0n ? value >> 1n : -((value + 1n) >> 1n);
    sum = BigInt.asUintN(64, sum + value);
    sums.push(sum);
  }
  return sums;
}

/** Strings that each begin with their length. */
function textsOf(bytes: Buffer): { text: Buffer; size: number }[] {
  const texts: { text: Buffer; size: number }[] = [];
  for (let at = 0; at < bytes.length; ) {
    const start = at;
    let length = 0;
    for (let index = 0; ; index++) {
      const byte = bytes[at++];
      if (byte === undefined || index > 4) throw new Error('the length of a text is cut short or too long');
      length += (byte & 0x7f) * 128 ** index;
      if (byte < 0x80) break;
    }
    if (length > bytes.length - at) throw new Error('a text is cut short');
    at += length;
    texts.push({ text: bytes.subarray(at - length, at), size: at - start });
  }
  return texts;
}

const decoder = new TextDecoder('utf-8', { fatal: true });

function isText(bytes: Buffer): boolean {
  try {
    decoder.decode(bytes);
    return true;
  } catch {
    return false;
  }
}

export type Judgement =
  | { readonly kind: 'refused'; readonly why: string }
  /** Numbers that break a limit, ascending. */
  | { readonly kind: 'taken'; readonly rejected: readonly bigint[] };

/** What a collector must say of a request that has blocks; of others, nothing. */
export function judgeBlocks(bytes: Buffer): Judgement | undefined {
  try {
    const request = readRequest(bytes);
    if (request.blocks.length === 0) return undefined;
    return { kind: 'taken', rejected: rejectedOf(request, bytes.length) };
  } catch (error) {
    // Whether it has blocks cannot be told of what cannot be read: then it is refused in any case.
    return { kind: 'refused', why: (error as Error).message };
  }
}

function rejectedOf(request: ReturnType<typeof readRequest>, bytes: number): bigint[] {
  const { blocks, firstSequence, losses } = request;
  if (request.rowEvents > 0) throw new Error('events and blocks');
  if (blocks.length > 10_000) throw new Error('too many blocks');
  if (losses.length > 10_000) throw new Error('too many losses');
  const events = blocks.reduce((sum, { events }) => sum + events.length, 0);
  if (events > 1_000_000) throw new Error('too many events');
  const size = blocks.reduce((sum, { expansion }) => sum + expansion, BigInt(bytes));
  if (size > BigInt(48 * MiB)) throw new Error('too large');
  if (firstSequence < 1n) throw new Error('no first_sequence');
  const lost = losses.reduce((sum, { count }) => sum + count, 0n);
  const last = firstSequence + BigInt(events) + lost - 1n;
  if (last >= 1n << 53n) throw new Error('beyond 2^53 - 1');
  let next = firstSequence;
  for (const loss of losses) {
    checkLoss(loss);
    if (loss.firstSequence < next) throw new Error('losses overlap');
    next = loss.firstSequence + loss.count;
  }
  if (next - 1n > last) throw new Error('a loss lies outside');
  const taken = new Set<bigint>();
  const rejected: bigint[] = [];
  for (const block of blocks) {
    let before = -1n;
    for (const [row, offset] of block.offsets.entries()) {
      const sequence = firstSequence + offset;
      if (offset <= before) throw new Error('offsets do not ascend');
      if (sequence > last) throw new Error('an offset lies outside');
      if (taken.has(sequence)) throw new Error('a number comes twice');
      if (losses.some((loss) => sequence >= loss.firstSequence && sequence < loss.firstSequence + loss.count))
        throw new Error('an event lies in a loss');
      taken.add(sequence);
      before = offset;
      if (block.rejected[row]) rejected.push(sequence);
    }
  }
  if (rejected.length > 10_000) throw new Error('too many rejected events');
  return rejected.sort((a, b) => (a < b ? -1 : 1));
}

function checkLoss({ count, firstSequence, isText }: ReferenceLoss): void {
  if (count < 1n) throw new Error('a loss without a count');
  if (firstSequence + count >= 1n << 53n) throw new Error('a loss beyond 2^53 - 1');
  if (!isText) throw new Error('the detail of a loss is not UTF-8');
}

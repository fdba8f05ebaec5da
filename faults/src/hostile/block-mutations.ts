/** Requests of blocks, from seeded generators: sound ones, and ones that are spoiled in one way each. */
import type { Random } from '../random.js';

/** A field as it lies in a message. */
interface Field {
  readonly tag: number;
  content: Buffer;
}

export interface BlockRequest {
  readonly blocks: Field[][];
  readonly losses: { first: number; count: number }[];
  readonly first: number;
}

const tagOf = {
  name: 0x0a,
  count: 0x10,
  severities: 0x32,
  bodies: 0x3a,
  metricName: 0x42,
  metrics: 0x4a,
  attributeName: 0x52,
  attributes: 0x5a,
  traceIds: 0x62,
  spanIds: 0x6a,
  offsets: 0x72,
  times: 0x7a,
  steps: 0x82,
} as const;
const arrayTags: readonly number[] = [tagOf.offsets, tagOf.times, tagOf.steps, tagOf.metrics];

const words = ['train.step', 'loss', 'größer ✓', 'a', '', 'x'.repeat(140), '\u0000', 'ключ'] as const;

export function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return Buffer.from([...bytes, Number(rest)]);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([varint(BigInt(bytes.length)), bytes]);
}

function encodeField({ tag, content }: Field): Buffer {
  const head = varint(BigInt(tag));
  return (tag & 7) === 2
    ? Buffer.concat([head, varint(BigInt(content.length)), content])
    : Buffer.concat([head, content]);
}

/** Each number as the difference to the one before, modulo 2^64. */
function differences(values: readonly bigint[], isSigned = true): Buffer {
  const zigzag = (value: bigint): bigint => (value >= 0n ? value << 1n : -(value << 1n) - 1n);
  return Buffer.concat(
    values.map((value, at) => {
      const difference = value - (values[at - 1] ?? 0n);
      return varint(isSigned ? zigzag(BigInt.asIntN(64, difference)) : BigInt.asUintN(32, difference));
    }),
  );
}

/** The block of the events with these offsets. */
function blockOf(offsets: readonly number[], random: Random): Field[] {
  const count = offsets.length;
  const rows = <Value>(make: () => Value): Value[] => Array.from({ length: count }, make);
  const metricNames = Array.from(
    { length: random.whole(0, 3) },
    (_, at) => `m${at}${random.pick(['', 'é'])}`,
  );
  const attributeNames = Array.from({ length: random.whole(0, 3) }, (_, at) => `a${at}`);
  const isShared = random.chance(0.5);
  const base = 1_700_000_000_000_000_000n;
  const time = (): bigint => (random.chance(0.1) ? 0n : base + BigInt(random.whole(0, 1e9)));
  const field = (tag: number, content: Buffer): Field => ({ tag, content });
  const fields = [
    field(tagOf.name, Buffer.from(random.pick(words))),
    field(tagOf.count, varint(BigInt(count))),
    field(tagOf.offsets, differences(offsets.map(BigInt), false)),
    field(tagOf.times, differences(rows(time))),
    ...metricNames.map((name) => field(tagOf.metricName, Buffer.from(name))),
    ...attributeNames.map((name) => field(tagOf.attributeName, Buffer.from(name))),
  ];
  const maybe = (chance: number, tag: number, make: () => Buffer): void => {
    if (random.chance(chance)) fields.push(field(tag, make()));
  };
  maybe(0.5, tagOf.steps, () =>
    differences(rows(() => BigInt(random.pick([random.whole(-1000, 1000), 2 ** 53, -(2 ** 60)])))),
  );
  maybe(0.7, tagOf.severities, () =>
    Buffer.from(random.chance(0.5) ? [random.pick([0, 9, 24])] : rows(() => random.pick([0, 5, 9, 24, 25]))),
  );
  maybe(0.5, tagOf.bodies, () => Buffer.concat(rows(() => text(random.pick(words)))));
  if (metricNames.length > 0) fields.push(field(tagOf.metrics, random.bytes(8 * count * metricNames.length)));
  if (attributeNames.length > 0) {
    const own = () => attributeNames.map(() => text(random.pick(words)));
    fields.push(field(tagOf.attributes, Buffer.concat(isShared ? own() : rows(own).flat())));
  }
  maybe(0.2, tagOf.traceIds, () => random.bytes(16 * count));
  maybe(0.2, tagOf.spanIds, () => random.bytes(8 * count));
  // Fields may come in any order.
  return random.chance(0.3) ? shuffled(fields, random) : fields;
}

function shuffled<Item>(items: readonly Item[], random: Random): Item[] {
  const left = [...items];
  return items.map(() => left.splice(random.whole(0, left.length - 1), 1)[0] as Item);
}

/** Events and losses in any places, dealt out to some blocks. */
function soundRequest(random: Random): BlockRequest {
  const first = random.chance(0.8) ? 1 : random.pick([2 ** 32 - 3, 2 ** 40, 2 ** 53 - 200]);
  const dealt: number[][] = Array.from({ length: random.whole(1, 3) }, () => []);
  const losses: BlockRequest['losses'] = [];
  const hasLosses = random.chance(0.5);
  let next = 0;
  for (let left = random.whole(1, 12); left > 0; left--) {
    if (hasLosses && random.chance(0.3)) {
      const count = random.whole(1, 5);
      losses.push({ first: first + next, count });
      next += count;
    }
    random.pick(dealt).push(next++);
  }
  if (hasLosses && random.chance(0.3)) losses.push({ first: first + next, count: 2 });
  const blocks = dealt.filter((offsets) => offsets.length > 0).map((offsets) => blockOf(offsets, random));
  return { blocks, losses, first };
}

function encode({ blocks, losses, first }: BlockRequest, producer: Buffer): Buffer {
  const parts = [producer, Buffer.from([0x10]), varint(BigInt(first))];
  for (const fields of blocks)
    parts.push(encodeField({ tag: 0x22, content: Buffer.concat(fields.map(encodeField)) }));
  for (const loss of losses) {
    const content = [
      Buffer.from([0x08]),
      varint(BigInt(loss.first)),
      Buffer.from([0x10]),
      varint(BigInt(loss.count)),
      Buffer.from([0x18, 1]),
    ];
    parts.push(encodeField({ tag: 0x2a, content: Buffer.concat(content) }));
  }
  return Buffer.concat(parts);
}

type Spoil = (request: BlockRequest, random: Random) => void;

/** A field of a block with one of these tags, if there is one. */
function pickField(
  { blocks }: BlockRequest,
  random: Random,
  tags?: readonly number[],
): { fields: Field[]; field: Field } | undefined {
  const fields = random.pick(blocks);
  const found = fields.filter(({ tag }) => tags === undefined || tags.includes(tag));
  return found.length === 0 ? undefined : { fields, field: random.pick(found) };
}

const spoils: Readonly<Record<string, Spoil>> = {
  'block-valid': () => {},
  'block-length': (request, random) => {
    const { field } = pickField(request, random) as { field: Field };
    const { content } = field;
    field.content = random.chance(0.5)
      ? content.subarray(0, random.whole(0, content.length))
      : Buffer.concat([content, random.bytes(random.pick([1, 4, 8, 16]))]);
  },
  'block-offset': (request, random) => {
    const { field } = pickField(request, random, [tagOf.offsets]) as { field: Field };
    const at = random.whole(0, field.content.length - 1);
    const difference = random.pick([
      [random.whole(0, 3)],
      [0x80, 0],
      [0xff, 0xff, 0xff, 0xff, 0x0f],
      [0x80, 0x80, 0x80, 0x80, 0x10],
      [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
      [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0],
    ]);
    const { content } = field;
    field.content = Buffer.concat([
      content.subarray(0, at),
      Buffer.from(difference),
      content.subarray(at + 1),
    ]);
  },
  'block-offsets-swapped': (request, random) => {
    const { field } = pickField(request, random, [tagOf.offsets]) as { field: Field };
    field.content = Buffer.from([...field.content].reverse());
  },
  'block-count': (request, random) => {
    const { field } = pickField(request, random, [tagOf.count]) as { field: Field };
    const count = BigInt(field.content[0] as number);
    field.content = varint(
      random.pick([0n, 1n, count + 1n, count - 1n, 1n << 31n, (1n << 32n) + count, (1n << 64n) - 1n]),
    );
  },
  'block-text': (request, random) => {
    const found = pickField(request, random, [tagOf.bodies, tagOf.attributes]);
    if (found === undefined || found.field.content.length === 0) return;
    const { content } = found.field;
    content[random.whole(0, content.length - 1)] = random.pick([0, 1, 0x7f, 0x80, 0x81, 0xc0, 0xed, 0xff]);
  },
  'block-long-length': (request, random) => {
    const found = pickField(request, random, [tagOf.bodies, tagOf.attributes]);
    if (found === undefined) return;
    // A length that takes more bytes than it needs, or than a length may.
    const { content } = found.field;
    const length = random.pick([
      [0x80, 0],
      [0x81, 0x80, 0],
      [0x80, 0x80, 0x80, 0x80, 0x80, 0],
      [0xff, 0x7f],
    ]);
    found.field.content = Buffer.concat([Buffer.from(length), content.subarray(1)]);
  },
  'block-name-twice': (request, random) => {
    const found = pickField(request, random, [tagOf.metricName, tagOf.attributeName]);
    if (found === undefined) return;
    const { fields, field } = found;
    const others = fields.filter((other) => other !== field && other.tag === field.tag);
    if (others.length > 0) field.content = random.pick(others).content;
    else fields.push({ ...field });
  },
  'block-name-bad': (request, random) => {
    const found = pickField(request, random, [tagOf.name, tagOf.metricName, tagOf.attributeName]);
    if (found === undefined) return;
    found.field.content = random.pick([
      Buffer.alloc(0),
      Buffer.alloc(256, 0x61),
      Buffer.alloc(257, 0x61),
      Buffer.from([0xff]),
      Buffer.from([0xed, 0xa0, 0x80]),
    ]);
  },
  'block-unpacked': (request, random) => {
    const found = pickField(request, random, arrayTags);
    if (found === undefined) return;
    const { fields, field } = found;
    fields.splice(fields.indexOf(field), random.pick([0, 1]));
    if (field.tag === tagOf.metrics) {
      for (let at = 0; at + 8 <= field.content.length; at += 8)
        fields.push({ tag: 0x49, content: field.content.subarray(at, at + 8) });
    } else
      for (const byte of field.content)
        fields.push({ tag: field.tag & ~7, content: Buffer.from([byte & 0x7f]) });
  },
  'block-split': (request, random) => {
    const found = pickField(request, random, arrayTags);
    if (found === undefined) return;
    const { fields, field } = found;
    const cut = random.whole(0, field.content.length);
    fields.push({ tag: field.tag, content: field.content.subarray(cut) });
    field.content = field.content.subarray(0, cut);
  },
  'block-overlap': (request, random) => {
    request.blocks.push([...random.pick(request.blocks)]);
  },
  'block-left-out': (request, random) => {
    if (random.chance(0.5)) request.blocks.pop();
    else {
      const { fields, field } = pickField(request, random) as { fields: Field[]; field: Field };
      fields.splice(fields.indexOf(field), 1);
    }
  },
  'block-field-twice': (request, random) => {
    const { fields, field } = pickField(request, random) as { fields: Field[]; field: Field };
    fields.push({ ...field });
  },
  'block-losses': (request, random) => {
    const loss = request.losses.length > 0 ? random.pick(request.losses) : { first: request.first, count: 1 };
    if (!request.losses.includes(loss)) request.losses.push(loss);
    if (random.chance(0.5)) loss.first = Math.max(0, loss.first + random.whole(-2, 2));
    else loss.count = Math.max(0, loss.count + random.pick([-1, 1, 2 ** 33]));
  },
  'block-time': (request, random) => {
    const { field } = pickField(request, random, [tagOf.times]) as { field: Field };
    const times = [0n, 1n, (1n << 63n) - 1n, 1n << 63n, (1n << 64n) - 1n];
    const fields = request.blocks.find((one) => one.includes(field)) as Field[];
    const count = Number(fields.find(({ tag }) => tag === tagOf.count)?.content[0] ?? 1);
    field.content = differences(Array.from({ length: count }, () => random.pick(times)));
  },
  'block-many-keys': (request, random) => {
    const fields = random.pick(request.blocks);
    const attributes = fields.find(({ tag }) => tag === tagOf.attributes);
    const names = fields.filter(({ tag }) => tag === tagOf.attributeName).length;
    const more = random.pick([1000, 1024, 1100]);
    const rows = fields.find(({ tag }) => tag === tagOf.count)?.content[0] ?? 0;
    if (names > 0 || attributes !== undefined || rows === 0) return;
    for (let key = 0; key < more; key++)
      fields.push({ tag: tagOf.attributeName, content: Buffer.from(`k${key}`) });
    fields.push({ tag: tagOf.attributes, content: Buffer.alloc(more) });
  },
};

/** Spoilt after they are encoded. */
const byteSpoils: Readonly<Record<string, (bytes: Buffer, random: Random) => Buffer>> = {
  'block-bits': (bytes, random) => {
    for (let flips = random.whole(1, 3); flips > 0; flips--) {
      const at = random.whole(0, bytes.length - 1);
      bytes[at] = (bytes[at] as number) ^ (1 << random.whole(0, 7));
    }
    return bytes;
  },
  'block-truncated': (bytes, random) => bytes.subarray(0, random.whole(1, bytes.length)),
  'block-and-event': (bytes) => Buffer.concat([bytes, Buffer.from([0x1a, 0])]),
  'block-unknown-field': (bytes, random) =>
    Buffer.concat([bytes, Buffer.from([0x22, 3 + 5, 0x10, 1]), random.bytes(6)]),
};

export const blockKinds = [...Object.keys(spoils), ...Object.keys(byteSpoils)];

/** @param producer the request's field of the producer */
export function makeBlockMessage(kind: string, producer: Buffer, random: Random): Buffer {
  const request = soundRequest(random);
  spoils[kind]?.(request, random);
  const bytes = encode(request, producer);
  return byteSpoils[kind]?.(bytes, random) ?? bytes;
}

/** Malformed requests, from seeded generators: each takes a valid request and spoils it in its own way. */
import { encodeRequest } from '@sluice/collector/testing/wire.js';
import type { LogRequest } from '@sluice/proto';
import type { Random } from '../random.js';
import { blockKinds, makeBlockMessage, varint } from './block-mutations.js';

export interface Messages {
  readonly kind: string;
  /** What the call carries, in order. */
  readonly messages: readonly Buffer[];
  /** Statuses that are right for it. */
  readonly allowed: readonly number[];
}

const ok = 0;
const invalidArgument = 3;
const resourceExhausted = 8;
const failedPrecondition = 9;
const unimplemented = 12;

/** Mutations may leave a request valid, make an event block of a field, or a hole out of a sequence. */
const anyJudgement = [ok, invalidArgument, unimplemented];

const words = ['train.step', 'loss', 'größer ✓', 'a', '', 'x'.repeat(300), '\u0000', 'ключ'] as const;

function text(random: Random): string {
  return random.pick(words);
}

export function producerOf(random: Random): { id: Buffer; project: string; run_id: string; rank: number } {
  const id = random.bytes(16);
  id[6] = ((id[6] as number) & 0x0f) | 0x70;
  return { id, project: 'hostile', run_id: 'hostile', rank: random.whole(0, 7) };
}

/** Begins with number 1: a collector takes any first number, and `sequence_gaps` shows what is missing before it. */
export function validRequest(random: Random): LogRequest & { first_sequence: string } {
  const count = random.whole(1, 4);
  const first = 1;
  return {
    producer: producerOf(random),
    first_sequence: String(first),
    events: Array.from({ length: count }, () => ({
      time_unix_nano: random.chance(0.9)
        ? String(1_700_000_000_000_000_000n + BigInt(random.whole(0, 1e9)))
        : '0',
      name: text(random),
      severity_number: random.pick([0, 5, 9, 17, 24, 25]),
      body: text(random),
      ...(random.chance(0.5) ? { step: String(random.whole(-1000, 1000)) } : {}),
      metrics: random.chance(0.7) ? { loss: random.next(), [`m${random.whole(0, 9)}`]: Number.NaN } : {},
      attributes: random.chance(0.5) ? { host: text(random) } : {},
      ...(random.chance(0.2) ? { trace_id: random.bytes(16), span_id: random.bytes(8) } : {}),
    })),
    losses: random.chance(0.3)
      ? [
          {
            first_sequence: String(first + count),
            count: String(random.whole(1, 5)),
            reason: 1,
            detail: text(random),
          },
        ]
      : [],
  };
}

/** A length-delimited field. */
export function bytesField(number: number, value: Buffer): Buffer {
  return Buffer.concat([varint(BigInt(number * 8 + 2)), varint(BigInt(value.length)), value]);
}

function insert(random: Random, bytes: Buffer, part: Buffer): Buffer {
  const at = random.whole(0, bytes.length);
  return Buffer.concat([bytes.subarray(0, at), part, bytes.subarray(at)]);
}

type Spoil = (bytes: Buffer, random: Random) => Buffer;

const spoils: Readonly<Record<string, Spoil>> = {
  'random-bytes': (_, random) => random.bytes(random.whole(0, 200)),
  'bit-flips': (bytes, random) => {
    const spoiled = Buffer.from(bytes);
    for (let flips = random.whole(1, 5); flips > 0; flips--) {
      const at = random.whole(0, bytes.length - 1);
      spoiled[at] = (spoiled[at] as number) ^ (1 << random.whole(0, 7));
    }
    return spoiled;
  },
  truncated: (bytes, random) => bytes.subarray(0, random.whole(0, bytes.length - 1)),
  spliced: (bytes, random) => {
    const from = random.whole(0, bytes.length - 1);
    return insert(random, bytes, bytes.subarray(from, random.whole(from, bytes.length)));
  },
  'wrong-wire-type': (bytes, random) => {
    const tag = BigInt(random.whole(1, 14) * 8 + random.whole(0, 7));
    return Buffer.concat([bytes, varint(tag), random.bytes(random.whole(0, 12))]);
  },
  groups: (bytes, random) =>
    Buffer.concat([bytes, varint(BigInt(random.whole(1, 20) * 8 + 3)), bytes.subarray(0, 8), varint(12n)]),
  'long-varint': (bytes, random) =>
    Buffer.concat([bytes, Buffer.from([0x10]), Buffer.alloc(random.whole(9, 20), 0xff), Buffer.from([1])]),
  'length-beyond': (bytes, random) => {
    const limits = [1n << 31n, 1n << 32n, 1n << 53n, 1n << 63n, (1n << 64n) - 1n, BigInt(bytes.length)];
    const length = random.pick(limits) + BigInt(random.whole(-2, 2));
    const field = Buffer.concat([
      varint(BigInt(random.pick([1, 3, 4, 5, 9]) * 8 + 2)),
      varint(BigInt.asUintN(64, length)),
    ]);
    return random.chance(0.5) ? Buffer.concat([bytes, field, random.bytes(4)]) : insert(random, bytes, field);
  },
  'nested-garbage': (bytes, random) =>
    Buffer.concat([bytes, bytesField(random.pick([1, 3, 5]), random.bytes(random.whole(1, 60)))]),
  'duplicate-fields': (bytes, random) =>
    Buffer.concat([bytes, bytes.subarray(0, random.pick([18, bytes.length]))]),
  'invalid-utf8': (bytes, random) =>
    Buffer.concat([
      bytes,
      bytesField(
        3,
        bytesField(
          random.pick([2, 4]),
          Buffer.from(random.pick([[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf8]])),
        ),
      ),
    ]),
  'unknown-fields': (bytes, random) =>
    Buffer.concat([bytes, bytesField(random.whole(6, 1000), random.bytes(random.whole(0, 40)))]),
  'field-number-0': (bytes, random) =>
    Buffer.concat([bytes, Buffer.from([random.whole(0, 7)]), random.bytes(random.whole(0, 8))]),
};

type Compose = (random: Random) => { messages: (LogRequest | Buffer)[]; allowed: readonly number[] };

const refused = [invalidArgument];
const edges = [
  (1n << 53n) - 1n,
  1n << 53n,
  1n << 62n,
  (1n << 63n) - 1n,
  1n << 63n,
  (1n << 64n) - 2n,
  (1n << 64n) - 1n,
];

const composed: Readonly<Record<string, Compose>> = {
  valid: (random) => ({ messages: [validRequest(random)], allowed: [ok] }),
  'sequence-0': (random) => ({
    messages: [{ ...validRequest(random), first_sequence: '0' }],
    allowed: refused,
  }),
  'sequence-overflow': (random) => ({
    messages: [
      { ...validRequest(random), first_sequence: String(random.pick(edges)), events: [{}, {}], losses: [] },
    ],
    allowed: refused,
  }),
  'losses-overlap': (random) => ({
    messages: [
      {
        producer: producerOf(random),
        first_sequence: '1',
        events: [{}],
        losses: [
          { first_sequence: '2', count: '5' },
          { first_sequence: String(random.whole(2, 6)), count: '2' },
        ],
      },
    ],
    allowed: refused,
  }),
  'losses-outside': (random) => ({
    messages: [
      {
        producer: producerOf(random),
        first_sequence: '10',
        events: [{}, {}],
        losses: [{ first_sequence: String(random.pick([1, 9, 14, 1000])), count: '1' }],
      },
    ],
    allowed: refused,
  }),
  'loss-count': (random) => ({
    messages: [
      {
        producer: producerOf(random),
        first_sequence: '1',
        events: [{}],
        losses: [{ first_sequence: '2', count: String(random.pick([0n, ...edges])) }],
      },
    ],
    allowed: refused,
  }),
  'too-many-rejections': (random) => ({
    messages: [
      {
        producer: producerOf(random),
        first_sequence: '1',
        events: Array.from({ length: 10_001 }, () => ({ severity_number: 99 })),
      },
    ],
    allowed: refused,
  }),
  'no-producer': () => ({ messages: [{ first_sequence: '1', events: [{}] }], allowed: refused }),
  'no-message': () => ({ messages: [], allowed: [invalidArgument, unimplemented] }),
  'producer-id': (random) => ({
    messages: [
      {
        producer: { id: random.pick([random.bytes(random.pick([0, 1, 15, 17, 64])), Buffer.alloc(16)]) },
        first_sequence: '1',
        events: [{}],
      },
    ],
    allowed: refused,
  }),
  'producer-too-large': (random) => ({
    messages: [
      {
        producer: random.pick([
          { ...producerOf(random), host: 'h'.repeat(1025) },
          { ...producerOf(random), attempt: 65_536 },
          { ...producerOf(random), start_time_unix_nano: String(1n << 63n) },
          {
            ...producerOf(random),
            labels: Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`l${index}`, 'v'])),
          },
        ]),
        first_sequence: '1',
        events: [{}],
      },
    ],
    allowed: refused,
  }),
  /** Only the first producer of a call counts, so the second message goes on where the first ended. */
  'producer-changed': (random) => {
    const producer = producerOf(random);
    return {
      messages: [
        { producer, first_sequence: '1', events: [{}, {}] },
        { producer: producerOf(random), first_sequence: '3', events: [{}] },
      ],
      allowed: [ok, unimplemented],
    };
  },
  hole: (random) => {
    const producer = producerOf(random);
    return {
      messages: [
        { producer, first_sequence: '1', events: [{}, {}] },
        { first_sequence: String(random.pick([4, 5, 1000, 2 ** 40])), events: [{}, {}] },
      ],
      allowed: [failedPrecondition, unimplemented],
    };
  },
  'partial-overlap': (random) => {
    const producer = producerOf(random);
    return {
      messages: [
        { producer, first_sequence: '1', events: [{}, {}, {}, {}, {}, {}] },
        { first_sequence: random.pick(['4', '6']), events: [{}, {}, {}, {}] },
      ],
      allowed: [failedPrecondition, unimplemented],
    };
  },
};

export const messageKinds = [...Object.keys(spoils), ...Object.keys(composed), ...blockKinds];

export function makeMessages(kind: string, random: Random): Messages {
  if (blockKinds.includes(kind)) {
    const producer = encodeRequest({ producer: producerOf(random) });
    const message = makeBlockMessage(kind, producer, random);
    return { kind, messages: [message], allowed: [...anyJudgement, resourceExhausted] };
  }
  const spoil = spoils[kind];
  if (spoil !== undefined) {
    const message = spoil(encodeRequest(validRequest(random)), random);
    return { kind, messages: [message], allowed: [...anyJudgement, resourceExhausted] };
  }
  const { messages, allowed } = (composed[kind] as Compose)(random);
  return {
    kind,
    messages: messages.map((message) => (Buffer.isBuffer(message) ? message : encodeRequest(message))),
    allowed,
  };
}

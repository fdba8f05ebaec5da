/** Calls that break gRPC's framing or its manners, whatever their messages hold. */
import { deflateSync, gzipSync } from 'node:zlib';
import { encodeRequest } from '@sluice/collector/testing/wire.js';
import { paths } from '@sluice/proto';
import type { Random } from '../random.js';
import { type CallPlan, framed } from './hostile-call.js';
import { validRequest } from './mutations.js';

export interface Framing {
  readonly plan: CallPlan;
  /** Outcomes that are right for it. */
  readonly allowed: readonly string[];
  /** Messages of it that may be stored: they were complete, and nobody was told. */
  readonly maybe?: readonly Buffer[];
  /** Messages that are stored if the call succeeds. */
  readonly messages?: readonly Buffer[];
}

const MiB = 1024 * 1024;
const gzip = { 'grpc-encoding': 'gzip' };
/** Made once: 64 MiB of zeros in 64 KiB, and as much as one message may be. */
let bomb: Buffer | undefined;
let largest: Buffer | undefined;

const valid = (random: Random): Buffer => encodeRequest(validRequest(random));
const invalid = ['status 3'];

const framings: Readonly<Record<string, (random: Random) => Framing>> = {
  'compressed-garbage': (random) => ({
    plan: { headers: gzip, writes: [framed(random.bytes(random.whole(0, 100)), 1)] },
    allowed: invalid,
  }),
  'compressed-cut': (random) => {
    const bytes = gzipSync(valid(random));
    return {
      plan: { headers: gzip, writes: [framed(bytes.subarray(0, random.whole(0, bytes.length - 9)), 1)] },
      allowed: invalid,
    };
  },
  'compressed-unknown': (random) => ({
    plan: { headers: { 'grpc-encoding': 'snappy' }, writes: [framed(valid(random), 1)] },
    allowed: ['status 12'],
  }),
  'compressed-well': (random) => {
    const message = valid(random);
    const encoding = random.pick(['gzip', 'deflate']);
    const bytes = encoding === 'gzip' ? gzipSync(message) : deflateSync(message);
    return {
      plan: { headers: { 'grpc-encoding': encoding }, writes: [framed(bytes, 1)] },
      allowed: ['status 0'],
      messages: [message],
    };
  },
  'compressed-empty': () => ({
    plan: {
      headers: gzip,
      writes: [Buffer.concat(Array.from({ length: 3000 }, () => framed(Buffer.alloc(0), 1)))],
    },
    allowed: invalid,
  }),
  'bomb-beyond': () => {
    bomb ??= gzipSync(Buffer.alloc(64 * MiB));
    return { plan: { headers: gzip, writes: [framed(bomb, 1)] }, allowed: ['status 8'] };
  },
  'bomb-within': () => {
    largest ??= gzipSync(Buffer.alloc(15 * MiB));
    return { plan: { headers: gzip, writes: [framed(largest, 1)] }, allowed: [...invalid, 'status 8'] };
  },
  'frame-too-long': (random) => ({
    plan: {
      writes: [framed(valid(random), 0, random.pick([16 * MiB + 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1]))],
    },
    allowed: ['status 8'],
  }),
  'frame-cut': (random) => {
    const message = valid(random);
    return {
      plan: { writes: [framed(message, 0, message.length + random.whole(1, 1000))] },
      allowed: invalid,
    };
  },
  'trailing-bytes': (random) => {
    const message = valid(random);
    return {
      plan: { writes: [framed(message), random.bytes(random.whole(1, 4))] },
      allowed: invalid,
      maybe: [message],
    };
  },
  'two-messages': (random) => ({
    plan: { path: paths.logOnce, writes: [framed(valid(random)), framed(valid(random))] },
    allowed: ['status 12'],
  }),
  'content-type': (random) => ({
    plan: {
      headers: { 'content-type': random.pick(['text/plain', 'application/json', '']) },
      writes: [framed(valid(random))],
    },
    allowed: ['http 415'],
  }),
  path: (random) => ({
    plan: {
      path: random.pick(['/', '/x', `${paths.log}s`, '/sluice.v1.EventCollector/Tail']),
      writes: [framed(valid(random))],
    },
    allowed: ['status 12'],
  }),
  'huge-headers': (random) => ({
    plan: {
      headers: Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`x-${index}`, 'y'.repeat(1500)])),
      writes: [framed(valid(random))],
    },
    // ENHANCE_YOUR_CALM by HTTP/2, or our own answer while the client has not acknowledged the limit.
    allowed: ['reset 11', 'status 8'],
  }),
  // INTERNAL is what gRPC's own servers answer to a deadline that nobody can read.
  timeout: (random) => {
    const message = valid(random);
    return {
      plan: {
        headers: { 'grpc-timeout': random.pick(['x', '-1S', '1', '99999999999S']) },
        writes: [framed(message)],
        end: 'nothing',
      },
      allowed: ['status 13', 'status 4', 'status 14'],
      maybe: [message],
    };
  },
  'half-open': () => ({ plan: { writes: [], end: 'nothing' }, allowed: ['status 14'] }),
  'half-open-once': () => ({
    plan: { path: paths.logOnce, writes: [], end: 'nothing' },
    allowed: ['status 14'],
  }),
  'no-half-close': (random) => {
    const message = valid(random);
    return { plan: { writes: [framed(message)], end: 'nothing' }, allowed: ['status 14'], maybe: [message] };
  },
  'no-half-close-once': (random) => ({
    plan: { path: paths.logOnce, writes: [framed(valid(random))], end: 'nothing' },
    allowed: ['status 14', 'status 8'],
  }),
  'length-bomb': (random) => ({
    plan: { writes: [framed(random.bytes(random.whole(0, 50)), 0, 16 * MiB)], end: 'nothing' },
    allowed: ['status 14', 'status 8'],
  }),
  'reset-in-message': (random) => ({
    plan: { writes: [framed(valid(random), 0, 100_000)], end: 'reset' },
    allowed: ['cut'],
  }),
  cut: (random) => {
    const message = valid(random);
    return {
      plan: { writes: [framed(message), framed(valid(random), 0, 100_000)], end: 'cut' },
      allowed: ['cut'],
      maybe: [message],
    };
  },
};

export const framingKinds = Object.keys(framings);
/** Those that the collector ends after a while; they cost the time of its limits, so they are fewer. */
export const slowKinds = [
  'timeout',
  'half-open',
  'half-open-once',
  'no-half-close',
  'no-half-close-once',
  'length-bomb',
];
/** Those that cost a good deal of CPU. */
export const costlyKinds = ['bomb-beyond', 'bomb-within', 'compressed-empty', 'too-many-rejections'];

export function makeFraming(kind: string, random: Random): Framing {
  return (framings[kind] as (random: Random) => Framing)(random);
}

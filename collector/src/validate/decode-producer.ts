import { type MessageLimits, messageLimits } from '../limits.js';
import { Cursor } from '../protobuf.js';
import type { Producer } from '../record.js';
import { isValidUtf8 } from '../utf8.js';

export type DecodedProducer =
  | { readonly kind: 'producer'; readonly producer: Producer }
  | { readonly kind: 'invalid'; readonly problem: string };

const tags = {
  id: 0x0a,
  project: 0x12,
  runId: 0x1a,
  job: 0x22,
  host: 0x2a,
  pid: 0x30,
  rank: 0x38,
  localRank: 0x40,
  worldSize: 0x48,
  attempt: 0x50,
  sdkName: 0x5a,
  sdkVersion: 0x62,
  label: 0x6a,
  startTime: 0x71,
} as const;

/** Decodes and checks the bytes of a `Producer`. Runs once a call, not once an event. */
export function decodeProducer(bytes: Buffer, limits: MessageLimits): DecodedProducer {
  const cursor = new Cursor();
  cursor.reset(bytes, 0, bytes.length);
  const strings: Record<'project' | 'runId' | 'job' | 'host' | 'sdkName' | 'sdkVersion', string> = {
    project: '',
    runId: '',
    job: '',
    host: '',
    sdkName: '',
    sdkVersion: '',
  };
  let id: Buffer = Buffer.alloc(0);
  let pid = 0;
  let rank = 0;
  let localRank: number | null = null;
  let worldSize: number | null = null;
  let attempt = 0;
  let startTimeUnixNano = '';
  const labels = new Map<string, string>();
  let problem = '';

  const text = (field: string): string => {
    cursor.bytes();
    const length = cursor.fieldEnd - cursor.fieldStart;
    if (length > limits.producerStringBytes) {
      problem ||= `producer.${field} has ${length} bytes; at most ${limits.producerStringBytes} are allowed`;
    } else if (!isValidUtf8(bytes, cursor.fieldStart, cursor.fieldEnd)) {
      problem ||= `producer.${field} is not valid UTF-8`;
    }
    return bytes.toString('utf8', cursor.fieldStart, cursor.fieldEnd);
  };
  const uint = (field: string, most: number): number => {
    const value = cursor.varint();
    if (value > most) problem ||= `producer.${field} is ${value}; at most ${most} is allowed`;
    return value;
  };

  while (cursor.position < cursor.end) {
    const tag = cursor.tag();
    switch (tag) {
      case tags.id:
        cursor.bytes();
        id = Buffer.from(bytes.subarray(cursor.fieldStart, cursor.fieldEnd));
        break;
      case tags.project:
        strings.project = text('project');
        break;
      case tags.runId:
        strings.runId = text('run_id');
        break;
      case tags.job:
        strings.job = text('job');
        break;
      case tags.host:
        strings.host = text('host');
        break;
      case tags.sdkName:
        strings.sdkName = text('sdk_name');
        break;
      case tags.sdkVersion:
        strings.sdkVersion = text('sdk_version');
        break;
      case tags.pid:
        pid = uint('pid', 0xffffffff);
        break;
      case tags.rank:
        rank = uint('rank', 0xffffffff);
        break;
      case tags.localRank:
        localRank = uint('local_rank', 0xffffffff);
        break;
      case tags.worldSize:
        worldSize = uint('world_size', 0xffffffff);
        break;
      case tags.attempt:
        attempt = uint('attempt', 0xffff);
        break;
      case tags.startTime:
        cursor.fixed64();
        startTimeUnixNano = ((BigInt(cursor.high) << 32n) | BigInt(cursor.low)).toString();
        break;
      case tags.label: {
        cursor.bytes();
        const entryEnd = cursor.fieldEnd;
        const outerEnd = cursor.end;
        cursor.position = cursor.fieldStart;
        cursor.end = entryEnd;
        let key = '';
        let value = '';
        while (cursor.position < cursor.end) {
          const entryTag = cursor.tag();
          if (entryTag === 0x0a) key = text('labels key');
          else if (entryTag === 0x12) value = text('labels value');
          else cursor.skip(entryTag);
        }
        cursor.end = outerEnd;
        cursor.position = cursor.problem === '' ? entryEnd : outerEnd;
        labels.set(key, value);
        break;
      }
      default:
        cursor.skip(tag);
    }
  }

  if (cursor.problem !== '')
    return { kind: 'invalid', problem: `producer is not valid Protobuf: ${cursor.problem}` };
  if (id.length !== 16) {
    problem ||= `producer.id has ${id.length} bytes; it must be a UUIDv7 of 16 bytes`;
  } else if (id.every((byte) => byte === 0)) {
    problem ||= 'producer.id is all zero; it must be a new UUIDv7 for each SDK instance';
  }
  if (labels.size > limits.labelsPerProducer) {
    problem ||= `producer.labels has ${labels.size} entries; at most ${limits.labelsPerProducer} are allowed`;
  }
  if (startTimeUnixNano !== '' && BigInt(startTimeUnixNano) >= 1n << 63n) {
    problem ||= `producer.start_time_unix_nano is ${startTimeUnixNano}; it must be less than 2^63`;
  }
  if (problem !== '') return { kind: 'invalid', problem };
  return {
    kind: 'producer',
    producer: {
      id,
      project: strings.project || 'default',
      runId: strings.runId || 'default',
      job: strings.job,
      host: strings.host,
      pid,
      rank,
      localRank,
      worldSize,
      attempt,
      sdkName: strings.sdkName,
      sdkVersion: strings.sdkVersion,
      labels,
      startTimeUnixNano,
    },
  };
}

/** Limits hold at the door: what passed it under other limits must still be read. */
const unlimited: MessageLimits = {
  ...messageLimits,
  producerStringBytes: Number.POSITIVE_INFINITY,
  labelsPerProducer: Number.POSITIVE_INFINITY,
};

/** Decodes a producer from the log. The door has checked its bytes, and their checksum has been checked since. */
export function decodeStoredProducer(encoded: Buffer): Producer {
  const decoded = decodeProducer(encoded, unlimited);
  if (decoded.kind === 'invalid')
    throw new Error(`the log holds a producer that the door refuses: ${decoded.problem}`);
  return decoded.producer;
}

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import { decodeProducer } from '../transport/response.js';
import {
  acknowledgedFrame,
  folderName,
  frameSeed,
  headerFrame,
  parseFolderName,
  parseSegmentFileName,
  readSegment,
  requestFrame,
  type StoredRequest,
  segmentFileName,
} from './format.js';

interface Vector {
  readonly folder: string;
  readonly file: string;
  readonly created_unix_ms: number;
  readonly producer_hex: string;
  readonly frames: readonly (
    | { readonly type: 'header' }
    | {
        readonly type: 'request';
        readonly first: number;
        readonly last: number;
        readonly events: number;
        readonly hex: string;
      }
    | { readonly type: 'acknowledged'; readonly through: number }
  )[];
}

const vectors = new URL('../../../vectors/', import.meta.url);
const vector: Vector = JSON.parse(readFileSync(new URL('spool-segment.json', vectors), 'utf8'));
const golden = Buffer.from(
  readFileSync(new URL('spool-segment.hex', vectors), 'utf8').replaceAll(/\s/g, ''),
  'hex',
);
const place = {
  producerId: parseFolderName(vector.folder)!.producerId,
  segment: parseSegmentFileName(vector.file)!,
};

function encode({ frames, producer_hex, created_unix_ms }: Vector): Buffer {
  const seed = frameSeed(place);
  return Buffer.concat(
    frames.flatMap((frame) => {
      if (frame.type === 'header')
        return [headerFrame(place, created_unix_ms, Buffer.from(producer_hex, 'hex'))];
      if (frame.type === 'acknowledged') return [acknowledgedFrame(frame.through, seed)];
      return requestFrame({ ...frame, bytes: Buffer.from(frame.hex, 'hex') }, seed);
    }),
  );
}

const asText = ({ first, last, events, bytes }: StoredRequest): string =>
  `${first}-${last} ${events} ${bytes.toString('hex')}`;
const whole = readSegment(golden, place);
const sound = new Set(whole.requests.map(asText));

test('the golden vector of the spool is what is written', () => {
  assert.equal(encode(vector).toString('hex'), golden.toString('hex'));
});

test('the golden vector of the spool is what is read', () => {
  assert.equal(whole.producer?.toString('hex'), vector.producer_hex);
  assert.equal(decodeProducer(whole.producer!)?.run_id, 'vector');
  const requests = vector.frames.filter((frame) => frame.type === 'request');
  assert.deepEqual(
    whole.requests.map(asText),
    requests.map((frame) => `${frame.first}-${frame.last} ${frame.events} ${frame.hex}`),
  );
  assert.equal(whole.acknowledged, 3);
  assert.deepEqual([whole.damaged, whole.tail, whole.soundBytes], [[], 'none', golden.length]);
});

test('a segment that was cut at any byte gives what was whole before the cut, and says that it is torn', () => {
  for (let size = 0; size <= golden.length; size++) {
    const { requests, damaged, tail, soundBytes, tailBytes } = readSegment(golden.subarray(0, size), place);
    assert.deepEqual(requests.map(asText), whole.requests.slice(0, requests.length).map(asText));
    assert.deepEqual(damaged, []);
    assert.equal(tail, soundBytes === size ? 'none' : 'torn');
    assert.equal(soundBytes + tailBytes, size);
  }
});

test('zeros behind the last frame are a tail that was never written', () => {
  assert.equal(readSegment(Buffer.concat([golden, Buffer.alloc(100)]), place).tail, 'torn');
});

test('a flipped bit anywhere costs the frame it lies in and never gives another request', () => {
  for (let bit = 0; bit < golden.length * 8; bit++) {
    const bytes = Buffer.from(golden);
    bytes[bit >> 3]! ^= 1 << (bit & 7);
    const { requests, damaged, tail, producer } = readSegment(bytes, place);
    for (const request of requests) assert.ok(sound.has(asText(request)), `bit ${bit}`);
    assert.ok(requests.length >= sound.size - 1, `bit ${bit}`);
    assert.ok(damaged.length > 0 || tail !== 'none', `bit ${bit} was not noticed`);
    if (producer !== undefined) assert.equal(producer.toString('hex'), vector.producer_hex);
  }
});

test('the frames of another producer, or of another segment, are not sound', () => {
  const other = Buffer.from(place.producerId);
  other[0]! ^= 1;
  assert.deepEqual(readSegment(golden, { ...place, producerId: other }).requests, []);
  assert.deepEqual(readSegment(golden, { ...place, segment: place.segment + 1 }).requests, []);
});

test('a frame of an unknown type is passed over', () => {
  const seed = frameSeed(place);
  const unknown = acknowledgedFrame(99, seed);
  // What a later version may write: made by turning the type and the checksum of a known one.
  unknown[12] = 77;
  unknown.writeUInt32LE(crc32(unknown.subarray(8), seed), 4);
  const { requests, damaged, acknowledged } = readSegment(Buffer.concat([golden, unknown, golden]), place);
  assert.equal(requests.length, whole.requests.length * 2);
  assert.deepEqual([damaged, acknowledged], [[], 3]);
});

test('names of folders and files are read as they are written', () => {
  const { producerId } = place;
  assert.equal(parseFolderName(folderName(producerId))?.owner, undefined);
  assert.equal(parseFolderName(folderName(producerId, 'h@b@1@2@3'))?.owner, 'h@b@1@2@3');
  assert.deepEqual(parseFolderName(folderName(producerId))?.producerId, producerId);
  for (const name of ['', 'x', '.', `${folderName(producerId)}.damaged`, `${folderName(producerId)}@`])
    assert.equal(parseFolderName(name), undefined, name);
  assert.equal(parseSegmentFileName(segmentFileName(12)), 12);
  for (const name of ['1.spool', '00000000.spool', '00000001.spool.damaged', 'x00000001.spool'])
    assert.equal(parseSegmentFileName(name), undefined, name);
});

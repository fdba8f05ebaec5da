import assert from 'node:assert/strict';
import { BlockEncoder } from '../buffer/block-encoder.js';
import { RequestMemory } from '../buffer/request-memory.js';
import { EventWriter } from '../encode/event-writer.js';
import { EventClock } from '../event-clock.js';
import { FakeClock } from './fake-clock.js';
import { unblock } from './unblock.js';
import { decodeRequest, type WireEvent } from './wire.js';

export interface Encoded {
  /** The `Event` message, without tag and length. */
  readonly event: Buffer;
  /** As the contract's own decoder sees it. */
  readonly decoded: WireEvent;
  readonly fieldErrors: number;
}

interface Options {
  time?: unknown;
  severity?: number | undefined;
  body?: unknown;
  step?: unknown;
  traceId?: unknown;
  spanId?: unknown;
}

/** Encodes one event with encoders of its own, whose clock stands at 1700000000000.5 ms. Both encodings must agree. */
export function encodeOne(name: unknown, fields?: unknown, options: Options = {}): Encoded {
  const writer = new EventWriter(new EventClock(new FakeClock()), 1024);
  const outcome = writer.write(name, options.severity ?? 9, options.body, fields, options);
  if (outcome !== 'written') throw new Error(outcome);
  const entry = writer.bytes.subarray(0, writer.end);
  const decoded = decodeRequest(entry).events?.[0];
  if (decoded === undefined) throw new Error('no event');
  let head = 1;
  while ((entry[head]! & 0x80) !== 0) head++;
  const encoded = { event: Buffer.from(entry.subarray(head + 1)), decoded, fieldErrors: writer.fieldErrors };
  const { block, fieldErrors } = encodeInBlock(name, fields, options);
  assert.deepEqual(withoutPrototypes(block), withoutPrototypes(decoded), 'the block says the same');
  assert.equal(fieldErrors, writer.fieldErrors, 'and counts the same field errors');
  return encoded;
}

function encodeInBlock(
  name: unknown,
  fields: unknown,
  options: Options,
): { block: WireEvent | undefined; fieldErrors: number } {
  const encoder = new BlockEncoder(new EventClock(new FakeClock()), 1024);
  const outcome = encoder.write(name, 9, options.body, fields, options);
  if (outcome !== 'written') throw new Error(`in a block: ${outcome}`);
  const draft = encoder.open(1, 0);
  draft.add(options.severity ?? 9);
  const [request] = draft.seal(new Uint8Array(0), new RequestMemory(0)).freeze();
  const [only] = decodeRequest(request!.bytes).blocks!.flatMap(unblock);
  return { block: only?.event, fieldErrors: encoder.fieldErrors };
}

/** The decoder's objects and maps have prototypes of their own. */
function withoutPrototypes(event: WireEvent | undefined): unknown {
  const { metrics, attributes, ...rest } = event ?? {};
  return { ...rest, metrics: metrics && { ...metrics }, attributes: attributes && { ...attributes } };
}

import { EventWriter } from '../encode/event-writer.js';
import { EventClock } from '../event-clock.js';
import { FakeClock } from './fake-clock.js';
import { decodeRequest, type WireEvent } from './wire.js';

export interface Encoded {
  /** The `Event` message, without tag and length. */
  readonly event: Buffer;
  /** As the contract's own decoder sees it. */
  readonly decoded: WireEvent;
  readonly fieldErrors: number;
}

/** Encodes one event with a writer of its own, whose clock stands at 1700000000000.5 ms. */
export function encodeOne(
  name: unknown,
  fields?: unknown,
  options: {
    time?: unknown;
    severity?: number | undefined;
    body?: unknown;
    step?: unknown;
    traceId?: unknown;
    spanId?: unknown;
  } = {},
): Encoded {
  const writer = new EventWriter(new EventClock(new FakeClock()), 1024);
  const outcome = writer.write(name, options.severity ?? 9, options.body, fields, options);
  if (outcome !== 'written') throw new Error(outcome);
  const entry = writer.bytes.subarray(0, writer.end);
  const decoded = decodeRequest(entry).events?.[0];
  if (decoded === undefined) throw new Error('no event');
  let head = 1;
  while ((entry[head]! & 0x80) !== 0) head++;
  return { event: Buffer.from(entry.subarray(head + 1)), decoded, fieldErrors: writer.fieldErrors };
}

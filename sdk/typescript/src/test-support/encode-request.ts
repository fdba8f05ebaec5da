import assert from 'node:assert/strict';
import { BlockEncoder } from '../buffer/block-encoder.js';
import type { LossReason } from '../buffer/loss.js';
import { RequestBuffer } from '../buffer/request-buffer.js';
import { EventClock } from '../event-clock.js';
import type { EventOptions } from '../event-options.js';
import { FakeClock } from './fake-clock.js';

/** An event as it is logged, or numbers that are lost. */
export type Logged =
  | {
      name: string;
      severity: number;
      body: string | undefined;
      fields: object | undefined;
      options: EventOptions;
    }
  | { lost: LossReason; count: number; timeMs: number };

/** The bytes of the one request that these make, without the producer. */
export function encodeRequest(first: number, logged: readonly Logged[]): Buffer {
  const clock = new FakeClock();
  const settings = { bufferBytes: 2 ** 26, requestBytes: 2 ** 20 };
  const encoder = new BlockEncoder(new EventClock(clock), settings.requestBytes);
  const buffer = new RequestBuffer(settings, encoder, new Uint8Array(0), clock);
  buffer.logged = first - 1;
  for (const one of logged) {
    if ('lost' in one) {
      clock.nowMs = one.timeMs;
      for (let count = 0; count < one.count; count++) buffer.drop(one.lost);
    } else {
      const { name, severity, body, fields, options } = one;
      assert.equal(encoder.write(name, severity, body, fields, options), 'written');
      buffer.add(severity);
    }
  }
  assert.ok(buffer.freeze(true));
  assert.equal(buffer.frozen.length, 1);
  assert.equal(encoder.fieldErrors, 0);
  return buffer.frozen[0]!.bytes;
}

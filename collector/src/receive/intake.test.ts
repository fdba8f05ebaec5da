import assert from 'node:assert/strict';
import { test } from 'node:test';
import { messageLimits } from '../limits.js';
import { encodeRequest, producerId } from '../testing/wire.js';
import type { WriteAheadLog } from '../wal/log.js';
import { CallIntake } from './intake.js';

test('a producer, which the log remembers for a day, keeps no memory but its own bytes', () => {
  let encoded: Buffer | undefined;
  const log = {
    generation: 0,
    appendedOf: () => 0,
    admission: () => ({ kind: 'open' }),
    append: (producer: { encoded: Buffer }) => {
      encoded = producer.encoded;
    },
  };
  const intake = new CallIntake(log as unknown as WriteAheadLog, messageLimits, () => 0);
  const message = encodeRequest({ producer: { id: producerId(1) }, first_sequence: '1', events: [{}] });
  assert.equal(intake.take(message), undefined);
  // Small Buffers are cut from a shared one of 8 KiB, which lives as long as any of them.
  assert.equal(encoded?.buffer.byteLength, encoded?.length);
});

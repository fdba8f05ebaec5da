import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LogRequest } from '@sluice/proto';
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

test('a call that asks for it has its producer’s segment sealed, once it is durable and not before', async () => {
  const sealed: string[] = [];
  let sync: (outcome: 'durable' | 'failed') => void = () => undefined;
  const log = {
    generation: 0,
    appendedOf: () => 0,
    durableOf: () => 1,
    admission: () => ({ kind: 'open' }),
    append: () => undefined,
    synced: () =>
      new Promise((resolve) => {
        sync = resolve;
      }),
    sealFor: (key: string) => sealed.push(key),
  };
  const producer = { id: producerId(1) };
  const event = { first_sequence: '1', events: [{}] };
  const call = async (outcome: 'durable' | 'failed', ...messages: LogRequest[]): Promise<number> => {
    sealed.length = 0;
    const intake = new CallIntake(log as unknown as WriteAheadLog, messageLimits, () => 0);
    for (const message of messages) assert.equal(intake.take(encodeRequest(message)), undefined);
    const answer = intake.acknowledge();
    assert.equal(sealed.length, 0);
    sync(outcome);
    await answer;
    return sealed.length;
  };
  assert.equal(await call('durable', { producer, ...event }), 0);
  assert.equal(await call('durable', { producer, ...event, flush: true }), 1);
  assert.deepEqual(sealed, [producerId(1).toString('latin1')]);
  assert.equal(await call('durable', { producer, ...event }, { flush: true }), 1);
  assert.equal(await call('durable', { producer, flush: true }), 1);
  assert.equal(await call('failed', { producer, ...event, flush: true }), 0);
});

test('a wish to be committed soon does not name the producer of a call', () => {
  const log = { generation: 0 };
  const intake = new CallIntake(log as unknown as WriteAheadLog, messageLimits, () => 0);
  assert.equal(intake.take(encodeRequest({ flush: true }))?.kind, 'invalid');
});

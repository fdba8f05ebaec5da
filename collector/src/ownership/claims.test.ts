import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Claims } from './claims.js';

/** A log of one producer whose steps the test takes. */
function open(claimMs = 60_000): {
  claims: Claims;
  sent: string[];
  adopt: { resolve: () => void };
  settle: { resolve: () => void };
} {
  const sent: string[] = [];
  const adopt = { resolve: (): void => undefined };
  const settle = { resolve: (): void => undefined };
  let durable = 0;
  const claims = new Claims({
    log: {
      adopt: (_key, sequence) =>
        new Promise((resolve) => {
          adopt.resolve = () => {
            durable = sequence;
            resolve();
          };
        }),
      settled: () =>
        new Promise((resolve) => {
          settle.resolve = resolve;
        }),
      sealFor: (): void => undefined,
      durableOf: () => durable,
    },
    primary: {
      claim: (key) => sent.push(`claim ${key}`),
      released: (key, sequence) => sent.push(`released ${key} ${sequence}`),
      forgotten: (key) => sent.push(`forgotten ${key}`),
    },
    claimMs,
  });
  return { claims, sent, adopt, settle };
}
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('calls that wait for one producer share a claim, and go on when the log has adopted it', async () => {
  const { claims, sent, adopt } = open();
  const outcomes = Promise.all([claims.claim('p'), claims.claim('p')]);
  void claims.grant('p', 9);
  await turn();
  assert.equal(claims.owns('p'), false);
  adopt.resolve();
  assert.deepEqual(
    (await outcomes).map(({ kind }) => kind),
    ['granted', 'granted'],
  );
  assert.equal(claims.owns('p'), true);
  assert.deepEqual(sent, ['claim p']);
});

test('a producer is not owned from the moment it is asked for, and handed over once the log has settled', async () => {
  const { claims, sent, adopt, settle } = open();
  void claims.grant('p', 9);
  adopt.resolve();
  await turn();
  void claims.release('p');
  assert.equal(claims.owns('p'), false);
  await turn();
  assert.deepEqual(sent, []);
  settle.resolve();
  await turn();
  assert.deepEqual(sent, ['released p 9']);
});

test('one that is asked for while it is being adopted goes back as it came', async () => {
  const { claims, sent, adopt } = open();
  const outcome = claims.claim('p');
  void claims.grant('p', 9);
  void claims.release('p');
  adopt.resolve();
  assert.deepEqual(await outcome, { kind: 'refused', reason: 'moving' });
  assert.equal(claims.owns('p'), false);
  assert.deepEqual(sent, ['claim p', 'released p 9']);
});

test('a call waits no longer than it may, and the late grant serves the next one', async () => {
  const { claims, adopt } = open(10);
  assert.deepEqual(await claims.claim('p'), { kind: 'refused', reason: 'moving' });
  void claims.grant('p', 1);
  adopt.resolve();
  await turn();
  assert.deepEqual(await claims.claim('p'), { kind: 'granted' });
});

test('while a claim is on its way, that the log forgets the producer is not told', async () => {
  const { claims, sent, adopt } = open();
  const outcome = claims.claim('p');
  claims.forget('p');
  void claims.grant('p', 4);
  claims.forget('p');
  adopt.resolve();
  await turn();
  assert.deepEqual(await outcome, { kind: 'granted' });
  assert.deepEqual(sent, ['claim p']);
  claims.forget('p');
  assert.equal(claims.owns('p'), false);
  assert.deepEqual(sent, ['claim p', 'forgotten p']);
});

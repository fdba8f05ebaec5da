import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Admission, type Release } from './admission.js';
import type { Exception } from './exceptions.js';

const never = new AbortController().signal;
const settled = () => new Promise((done) => setImmediate(done));

test('more statements than may run wait in order of arrival', async () => {
  const admission = new Admission({ concurrentReads: 1, concurrentInserts: 1, waiting: 10 });
  const order: string[] = [];
  const noted = (name: string) => (leave: Release) => {
    order.push(name);
    return leave;
  };
  const release = await admission.enter('read', never);
  const second = admission.enter('read', never).then(noted('second'));
  const third = admission.enter('read', never).then(noted('third'));
  await settled();
  assert.deepEqual(order, []);
  release();
  release();
  (await second)();
  (await third)();
  assert.deepEqual(order, ['second', 'third']);
});

test('reads do not hold up inserts', async () => {
  const admission = new Admission({ concurrentReads: 1, concurrentInserts: 1, waiting: 0 });
  await admission.enter('read', never);
  await admission.enter('insert', never);
});

test('one more than may wait is refused', async () => {
  const admission = new Admission({ concurrentReads: 1, concurrentInserts: 1, waiting: 1 });
  await admission.enter('read', never);
  void admission.enter('read', never);
  await assert.rejects(admission.enter('read', never), (error) => (error as Exception).exceptionCode === 202);
});

test('a client that goes away while it waits leaves its place', async () => {
  const admission = new Admission({ concurrentReads: 1, concurrentInserts: 1, waiting: 1 });
  const release = await admission.enter('read', never);
  const gone = new AbortController();
  const waiting = admission.enter('read', gone.signal);
  gone.abort(new Error('gone'));
  await assert.rejects(waiting, /gone/);
  assert.equal(admission.waiting, 0);
  const next = admission.enter('read', never);
  release();
  (await next)();
});

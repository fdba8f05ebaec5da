import assert from 'node:assert/strict';
import { test } from 'node:test';
import { receiveLimits } from '../limits.js';
import type { Refusal } from './intake.js';
import { type HoldingCall, Reception } from './reception.js';

let nowMs = 0;
const limits = {
  ...receiveLimits,
  receivingBytes: 1000,
  windowBytes: 0,
  messageMs: 5000,
  pressedMessageMs: 500,
};

class Call implements HoldingCall {
  readonly #reception: Reception;
  heldBytes = 0;
  missingBytes: number;
  readingMs = 0;
  isPaused = false;
  isLetOn = false;
  refusal: Refusal | undefined;

  constructor(reception: Reception, missingBytes: number) {
    this.#reception = reception;
    this.missingBytes = missingBytes;
    reception.add(this);
  }

  hold(bytes: number): void {
    this.heldBytes += bytes;
    this.#reception.account(bytes);
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  refuse(refusal: Refusal): void {
    this.refusal = refusal;
    this.#reception.remove(this);
    this.hold(-this.heldBytes);
  }
}

function sweepAfter(reception: Reception, ms: number): void {
  for (let left = ms; left > 0; left -= 250) {
    nowMs += 250;
    reception.sweep(0);
  }
  reception.sweep(0);
}

test('while half of the budget is free, everyone reads, for as long as a message may take', () => {
  const reception = new Reception(limits, () => nowMs);
  const calls = [900, 10_000].map((missing) => new Call(reception, missing));
  for (const call of calls) call.hold(200);
  sweepAfter(reception, 4000);
  assert.ok(calls.every(({ isPaused, refusal }) => !isPaused && refusal === undefined));
  sweepAfter(reception, 2000);
  assert.ok(calls.every(({ refusal }) => refusal?.kind === 'unavailable'));
});

test('above it, those that miss least read on as far as they fit; the others wait until there is room', () => {
  const reception = new Reception(limits, () => nowMs);
  const [small, middle, large] = [100, 250, 900].map((missing) => new Call(reception, missing));
  assert.ok(small && middle && large);
  for (const call of [small, middle, large]) call.hold(200);
  sweepAfter(reception, 0);
  assert.deepEqual([small.isPaused, middle.isPaused, large.isPaused], [false, false, true]);
  // Complete and taken: the budget is free again.
  for (const call of [small, middle]) {
    call.missingBytes = 0;
    call.hold(-200);
  }
  sweepAfter(reception, 0);
  assert.equal(large.isPaused, false);
});

test('a message that reads and is not complete is refused soon while others wait; one that waits is not', () => {
  const reception = new Reception(limits, () => nowMs);
  const slow = new Call(reception, 100);
  const waiting = new Call(reception, 900);
  slow.hold(400);
  waiting.hold(200);
  sweepAfter(reception, 0);
  sweepAfter(reception, 750);
  assert.equal(slow.refusal?.kind, 'overloaded');
  assert.match(slow.refusal?.message ?? '', /receive\.pressedMessageMs/);
  assert.equal(waiting.refusal, undefined);
  assert.equal(waiting.isPaused, false);
});

test('a sweep that comes late is not counted against the clients', () => {
  const reception = new Reception(limits, () => nowMs);
  const call = new Call(reception, 100);
  nowMs += 60_000;
  reception.sweep(0);
  assert.equal(call.refusal, undefined);
});

test('time in which nothing was read is not counted against the clients', () => {
  const reception = new Reception(limits, () => nowMs);
  const call = new Call(reception, 100);
  call.hold(600);
  for (let sweeps = 0; sweeps < 10; sweeps++) {
    nowMs += 250;
    reception.sweep(250);
  }
  assert.deepEqual([call.readingMs, call.refusal], [0, undefined]);
  nowMs += 250;
  reception.sweep(200);
  assert.equal(call.readingMs, 50);
});

test('above the budget, whoever holds the most is refused, and no more of them than must be', () => {
  const reception = new Reception(limits, () => nowMs);
  const calls = [300, 500, 150].map((bytes) => {
    const call = new Call(reception, 10_000);
    call.hold(bytes);
    return call;
  });
  assert.ok(calls.every(({ refusal }) => refusal === undefined));
  calls[0]?.hold(100);
  assert.deepEqual(
    calls.map(({ refusal }) => refusal?.kind),
    [undefined, 'overloaded', undefined],
  );
  assert.equal(reception.heldBytes, 550);
  assert.equal(reception.refusals.receivingBytes, 1);
});

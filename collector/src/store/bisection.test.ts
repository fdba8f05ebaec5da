import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EventRange } from '../record.js';
import { bisect, RangeSet } from './bisection.js';
import { BisectionAllowance } from './bisection-allowance.js';

const refusal = { code: 469, message: 'all of it' };

/** A table that refuses what holds a bad event; it remembers what it took. */
function makeTable(isBad: (event: number) => boolean, inserts = Number.POSITIVE_INFINITY) {
  const stored: EventRange[] = [];
  let tries = 0;
  return {
    stored,
    insert: async ({ from, to }: EventRange) => {
      // The process is killed before this insert.
      if (tries++ >= inserts) return { kind: 'stopped' } as const;
      for (let event = from; event < to; event++)
        if (isBad(event)) return { kind: 'refused', code: 469, message: `event ${event}` } as const;
      stored.push({ from, to });
      return { kind: 'stored' } as const;
    },
  };
}

const numbersOf = (ranges: readonly EventRange[]): number[] =>
  ranges.flatMap(({ from, to }) => Array.from({ length: to - from }, (_, index) => from + index));
const ascending = (numbers: readonly number[]): number[] => [...numbers].sort((a, b) => a - b);
const all = (events: number): number[] => Array.from({ length: events }, (_, index) => index);

test('exactly the bad events are refused and the others stored once, whatever their number and place', async () => {
  for (let seed = 1; seed <= 300; seed++) {
    const events = 1 + ((seed * 7919) % 97);
    const isBad = (event: number): boolean => ((event + 1) * (seed + 3)) % (2 + (seed % 11)) === 0;
    const table = makeTable(isBad);
    const bad = all(events).filter(isBad);
    if (bad.length === 0) continue;
    const outcome = await bisect({
      within: { from: 0, to: events },
      covered: new RangeSet(),
      refusal,
      inserts: 10_000,
      insert: table.insert,
    });
    assert.ok(outcome.kind === 'done' && !outcome.isCut);
    assert.deepEqual(numbersOf(outcome.refused), bad, `seed ${seed}`);
    assert.deepEqual(
      ascending(numbersOf(table.stored)),
      all(events).filter((event) => !isBad(event)),
    );
    if (events > 1) assert.ok(outcome.refused.every((one) => one.refusal.message === `event ${one.from}`));
  }
});

test('one bad event of 125,000 is found with two inserts a halving at most', async () => {
  for (const bad of [0, 1, 62_499, 77_777, 124_999]) {
    const table = makeTable((event) => event === bad);
    const outcome = await bisect({
      within: { from: 0, to: 125_000 },
      covered: new RangeSet(),
      refusal,
      inserts: 2000,
      insert: table.insert,
    });
    assert.ok(outcome.kind === 'done');
    assert.deepEqual(numbersOf(outcome.refused), [bad]);
    assert.ok(outcome.inserts <= 34, `${outcome.inserts} inserts`);
  }
});

test('a process that goes on where another was killed ends with the same, wherever that was', async () => {
  const events = 61;
  const isBad = (event: number): boolean => event % 7 === 3 || event === 60;
  for (let killedAfter = 0; killedAfter < 60; killedAfter++) {
    const first = makeTable(isBad, killedAfter);
    const started = await bisect({
      within: { from: 0, to: events },
      covered: new RangeSet(),
      refusal,
      inserts: 1000,
      insert: first.insert,
    });
    if (started.kind === 'done') continue;
    const second = makeTable(isBad);
    const outcome = await bisect({
      within: { from: 0, to: events },
      // What was refused meanwhile and is in quarantine counts as done.
      covered: new RangeSet([...first.stored, { from: 3, to: 4 }]),
      refusal,
      inserts: 1000,
      insert: second.insert,
    });
    assert.ok(outcome.kind === 'done');
    assert.deepEqual(
      ascending([...numbersOf(first.stored), ...numbersOf(second.stored), ...numbersOf(outcome.refused), 3]),
      all(events),
    );
    assert.ok(numbersOf(outcome.refused).every(isBad));
  }
});

test('beyond the limit nothing is forgotten: what is not stored is refused in ranges of one size', async () => {
  for (const inserts of [0, 1, 5, 30, 63, 64, 200]) {
    const table = makeTable((event) => event % 2 === 0);
    const outcome = await bisect({
      within: { from: 0, to: 1000 },
      covered: new RangeSet([{ from: 100, to: 130 }]),
      refusal,
      inserts,
      insert: table.insert,
    });
    assert.ok(outcome.kind === 'done' && outcome.isCut && outcome.inserts === inserts);
    assert.deepEqual(
      ascending([
        ...numbersOf(table.stored),
        ...numbersOf(outcome.refused),
        ...numbersOf([{ from: 100, to: 130 }]),
      ]),
      all(1000),
    );
  }
});

test('events that are taken after all, because the constraint was dropped meanwhile, are stored', async () => {
  let dropped = false;
  const stored: EventRange[] = [];
  const outcome = await bisect({
    within: { from: 0, to: 100 },
    covered: new RangeSet(),
    refusal,
    inserts: 1000,
    insert: async (range) => {
      if (!dropped && range.to > 90 && range.from <= 90) {
        dropped = range.to - range.from < 20;
        return { kind: 'refused', code: 469, message: '' };
      }
      stored.push(range);
      return { kind: 'stored' };
    },
  });
  assert.ok(outcome.kind === 'done');
  assert.deepEqual(outcome.refused, []);
  assert.deepEqual(ascending(numbersOf(stored)), all(100));
});

test('what is in the table although it was refused is not looked at again', async () => {
  const stored: EventRange[] = [];
  const outcome = await bisect({
    within: { from: 0, to: 64 },
    covered: new RangeSet(),
    refusal,
    inserts: 1000,
    insert: async (range) => {
      stored.push(range);
      const throws = range.from <= 40 && 40 < range.to;
      return throws ? { kind: 'refused', code: 395, message: 'a view' } : { kind: 'stored' };
    },
    confirm: async () => new RangeSet(stored),
  });
  assert.ok(outcome.kind === 'done');
  assert.deepEqual([outcome.refused, outcome.inserts], [[], 3]);
});

test('a set of ranges knows what it covers, what it touches and what it leaves', () => {
  const set = new RangeSet([
    { from: 10, to: 20 },
    { from: 0, to: 5 },
    { from: 20, to: 25 },
    { from: 3, to: 4 },
  ]);
  assert.equal(set.size, 20);
  assert.equal(set.covers({ from: 12, to: 25 }), true);
  assert.equal(set.covers({ from: 4, to: 11 }), false);
  assert.equal(set.touches({ from: 5, to: 10 }), false);
  assert.equal(set.touches({ from: 24, to: 99 }), true);
  assert.deepEqual(set.without({ from: 2, to: 30 }), [
    { from: 5, to: 10 },
    { from: 25, to: 30 },
  ]);
});

test('a table that refuses nearly everything gets fewer inserts with every segment, and then more again', () => {
  const allowance = new BisectionAllowance(2000);
  const given = [true, true, true, true, false, false, false].map((isSpent) => {
    const { inserts } = allowance;
    allowance.settle(isSpent);
    return inserts;
  });
  assert.deepEqual(given, [2000, 500, 125, 64, 64, 256, 1024]);
});

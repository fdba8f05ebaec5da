import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readTrainingLog } from './training-log.js';
import { WideEvents } from './wide-events.js';

test('events have as many distinct keys as asked for, five each, and a name for every five', () => {
  for (const keys of [5, 25, 100, 500]) {
    const events = new WideEvents(readTrainingLog(), keys);
    const seen = new Set<string>();
    const names = new Set<string>();
    for (let count = 0; count < keys; count++) {
      const { name, fields, step } = events.next();
      names.add(name);
      for (const key of Object.keys(fields)) seen.add(key);
      const values = Object.values(fields);
      assert.equal(values.filter((value) => typeof value === 'number' && Number.isFinite(value)).length, 4);
      assert.equal(values.filter((value) => typeof value === 'string').length, 1);
      assert.equal(step, Math.floor(count / (keys / 5)));
    }
    assert.equal(seen.size, keys);
    assert.equal(names.size, keys / 5);
  }
});

test('a number of keys that gives no whole shapes is refused', () => {
  assert.throws(() => new WideEvents(readTrainingLog(), 7), /keys is 7; it must be a multiple of 5/);
});

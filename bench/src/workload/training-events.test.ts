import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TrainingEvents } from './training-events.js';
import { parseTrainingLog, readTrainingLog } from './training-log.js';

test('lines of all three styles give their numbers', () => {
  const [section] = parseTrainingLog(
    [
      '# a note',
      '# train.step some-run',
      'step:200/6200 train_loss:4.6653 train_time:41135ms step_avg:216.50ms',
      's:5000 trl:3.5600 lr:0.000526 norm:0.25',
      'peak memory allocated: 31361 MiB reserved: 36734 MiB',
    ].join('\n'),
  );
  assert.equal(section?.name, 'train.step');
  assert.equal(section.source, 'some-run');
  assert.deepEqual(
    section.lines.map(({ step }) => step),
    [200, 5000, 0],
  );
  assert.equal(section.lines[0]?.total_steps, 6200);
  assert.equal(section.lines[0]?.step_avg, 216.5);
  assert.equal(section.lines[1]?.lr, 0.000526);
  assert.equal(section.lines[2]?.allocated, 31361);
  assert.equal(section.lines[2]?.reserved, 36734);
});

test('events have five names, four numbers and one text each, and every number is finite', () => {
  const events = new TrainingEvents(readTrainingLog());
  const names = new Set<string>();
  for (let count = 0; count < 5000; count++) {
    const { name, fields, step } = events.next();
    names.add(name);
    const values = Object.values(fields);
    assert.equal(values.filter((value) => typeof value === 'number' && Number.isFinite(value)).length, 4);
    assert.equal(values.filter((value) => typeof value === 'string').length, 1);
    assert.equal(step, Math.floor(count / 5));
  }
  assert.equal(names.size, 5);
});

test('a pass over the fixture is not the same as the one before', () => {
  const events = new TrainingEvents(readTrainingLog());
  const losses: unknown[] = [];
  for (let count = 0; count < 5 * 80 * 2; count++) {
    const { name, fields } = events.next();
    if (name === 'train.step') losses.push(fields['train_loss']);
  }
  const same = losses.slice(0, 80).filter((loss, index) => loss === losses[index + 80]);
  assert.ok(same.length < 10, `${same.length} of 80 values repeat`);
});

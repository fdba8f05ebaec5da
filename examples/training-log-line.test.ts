// The lines are from the training logs of KellerJordan/modded-nanogpt (MIT), unless a test says otherwise.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTrainingLogLine } from './training-log-line.js';

const cases = [
  [
    'step:1/6000 train_loss:11.0091 train_time:24179ms step_avg:nanms',
    'train.step',
    1n,
    { train_loss: 11.0091, train_time_ms: 24179, step_avg_ms: Number.NaN },
  ],
  [
    'step:6000/6000 val_loss:3.2763 train_time:2176424ms step_avg:363.34ms',
    'val',
    6000n,
    { val_loss: 3.2763, train_time_ms: 2176424, step_avg_ms: 363.34 },
  ],
  [
    'step:0/1670 val_loss:10.8258 train_time:0ms step_avg:0.02ms',
    'val',
    0n,
    { val_loss: 10.8258, train_time_ms: 0, step_avg_ms: 0.02 },
  ],
  [
    'step:1/1490 train_time:21888ms step_avg:nanms',
    'train.step',
    1n,
    { train_time_ms: 21888, step_avg_ms: Number.NaN },
  ],
  ['s:0 tel:10.968871', 'val', 0n, { tel: 10.968871 }],
  ['s:9535 trl:3.340180', 'train.step', 9535n, { trl: 3.34018 }],
  ['s:1 trl:10.9598 lr:0.000002 norm:15.24', 'train.step', 1n, { trl: 10.9598, lr: 0.000002, norm: 15.24 }],
  [
    'peak memory allocated: 31361 MiB reserved: 36734 MiB',
    'memory',
    undefined,
    { peak_memory_allocated_mib: 31361, reserved_mib: 36734 },
  ],
] as const;

for (const [line, name, step, metrics] of cases) {
  test(`reads ${line}`, () => {
    assert.deepEqual(parseTrainingLogLine(line), { name, step, timeMs: undefined, metrics });
  });
}

test('lines without numbers of their own are events all the same', () => {
  for (const line of [
    '=====',
    'Running Python 3.12.7',
    'import torch',
    'at 10:32:08',
    'torch==2.6.0.dev',
    'id:12ab34',
  ]) {
    assert.deepEqual(parseTrainingLogLine(line), {
      name: 'log',
      step: undefined,
      timeMs: undefined,
      metrics: {},
    });
  }
});

test('reads other spellings: equals signs, commas, blanks, exponents, signs, infinities, large integers', () => {
  const { metrics, step } = parseTrainingLogLine(
    'iter=12, loss = -1.5e-3, scale: inf, low=-inf, speed: 3.2 tok/s, used:41%, epoch: 2/10, seed=12345678901234567890, lr:.5',
  );
  assert.equal(step, 12n);
  assert.deepEqual(metrics, {
    loss: -0.0015,
    scale: Number.POSITIVE_INFINITY,
    low: Number.NEGATIVE_INFINITY,
    speed_tok_per_s: 3.2,
    used_percent: 41,
    epoch: 2,
    epoch_total: 10,
    seed: 12345678901234567890n,
    lr: 0.5,
  });
});

test('a key that comes twice loses nothing, and neither does one that JavaScript knows', () => {
  assert.deepEqual(Object.entries(parseTrainingLogLine('a:1 a:2 __proto__:3').metrics), [
    ['a', 1],
    ['a_2', 2],
    ['__proto__', 3],
  ]);
});

test('a unit that the key names already is not named twice', () => {
  assert.deepEqual(parseTrainingLogLine('train_time_ms:12ms').metrics, { train_time_ms: 12 });
});

test('a time in front of the line is its time', () => {
  assert.equal(
    parseTrainingLogLine('2024-10-13 04:05:06,789 step:1').timeMs,
    Date.UTC(2024, 9, 13, 4, 5, 6, 789),
  );
  assert.equal(parseTrainingLogLine('[2024-10-13T04:05:06+02:00] x').timeMs, Date.UTC(2024, 9, 13, 2, 5, 6));
});

test('a long line takes no more than its length', () => {
  const before = process.cpuUsage();
  for (const text of ['word ', 'a:', 'a', 'a=1 ', '1']) parseTrainingLogLine(text.repeat(200_000));
  assert.ok(process.cpuUsage(before).user < 5_000_000);
});

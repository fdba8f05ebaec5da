import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Command, parseCommand } from './command-line.js';
import { plantedBugNames } from './planted.js';
import { scenarioNames } from './registry.js';

const parse = (line: string): Command => parseCommand(line === '' ? [] : line.split(' '), () => 4711);

test('a scenario runs its short size with a new seed, which is told', () => {
  assert.deepEqual(parse('--scenario kill-store'), {
    kind: 'run',
    scenarios: ['kill-store'],
    isAll: false,
    rounds: undefined,
    isFull: false,
    seed: 4711,
    encoding: 'blocks',
    producers: 'typescript',
    plant: undefined,
    keep: false,
  });
});

test('several scenarios are separated by commas, and all means all', () => {
  const some = parse('--scenario bit-rot,clock --rounds 1_000 --seed 7 --full --keep');
  assert.ok(some.kind === 'run');
  assert.deepEqual(
    [some.scenarios, some.rounds, some.seed, some.isFull, some.keep, some.isAll],
    [['bit-rot', 'clock'], 1000, 7, true, true, false],
  );
  const all = parse('--scenario all');
  assert.ok(all.kind === 'run' && all.isAll);
  assert.deepEqual(all.scenarios, scenarioNames);
});

test('--planted plants all bugs, or the one that --plant names', () => {
  assert.deepEqual(parse('--planted --seed 1'), {
    kind: 'planted',
    bugs: plantedBugNames,
    seed: 1,
    encoding: 'blocks',
  });
  assert.deepEqual(parse('--planted --plant drop-loss'), {
    kind: 'planted',
    bugs: ['drop-loss'],
    seed: 4711,
    encoding: 'blocks',
  });
  const run = parse('--scenario overload --plant drop-loss');
  assert.ok(run.kind === 'run');
  assert.equal(run.plant, 'drop-loss');
});

test('--producers says whose SDK it is', () => {
  const run = parse('--scenario kill-sdk --producers python');
  assert.equal(run.kind === 'run' && run.producers, 'python');
  assert.throws(
    () => parse('--scenario kill-sdk --producers cobol'),
    /--producers is cobol; it must be one of: typescript, python/,
  );
});

test('--encoding says how the SDK sends, also with planted bugs', () => {
  const run = parse('--scenario clock --encoding rows');
  assert.equal(run.kind === 'run' && run.encoding, 'rows');
  const planted = parse('--planted --encoding rows');
  assert.equal(planted.kind === 'planted' && planted.encoding, 'rows');
  assert.throws(() => parse('--scenario clock --encoding json'), /--encoding is json; .* blocks, rows/);
});

test('nothing, or --help, shows the help; --list the scenarios', () => {
  assert.deepEqual(parse(''), { kind: 'help' });
  assert.deepEqual(parse('-h'), { kind: 'help' });
  assert.deepEqual(parse('--scenario clock --help'), { kind: 'help' });
  assert.deepEqual(parse('--list'), { kind: 'list' });
});

test('a wrong command line is refused with the value that was given and those that are allowed', () => {
  assert.throws(() => parse('--scenario kill'), /unknown scenario kill; there are: .*kill-collector.*, all/);
  assert.throws(
    () => parse('--scenario clock --rounds 0'),
    /--rounds is 0; it must be a whole number from 1 to/,
  );
  assert.throws(() => parse('--scenario clock --rounds 1.5'), /--rounds is 1\.5/);
  assert.throws(() => parse('--scenario clock --seed x'), /--seed is x; it must be a whole number from 0 to/);
  assert.throws(() => parse('--scenario clock --plant bug'), /unknown bug bug; there are: .*drop-loss/);
  assert.throws(() => parse('--planted --scenario clock'), /--planted chooses the scenarios itself/);
  assert.throws(() => parse('--rouns 3'), /rouns/);
});

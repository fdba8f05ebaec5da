import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCommand } from './command-line.js';

test('a question alone has its defaults', () => {
  assert.deepEqual(parseCommand(['ingest']), {
    question: 'ingest',
    events: 8_000_000,
    producers: 1,
    jsonFile: undefined,
    profileDirectory: undefined,
  });
});

test('options are read, and numbers may be grouped', () => {
  const command = parseCommand(['ingest', '--events', '3_000_000', '--producers=2', '--json', '/tmp/x.json']);
  assert.notEqual(command, 'help');
  if (command === 'help') return;
  assert.equal(command.events, 3_000_000);
  assert.equal(command.producers, 2);
  assert.equal(command.jsonFile, '/tmp/x.json');
});

test('no question, or --help, asks for help', () => {
  assert.equal(parseCommand([]), 'help');
  assert.equal(parseCommand(['ingest', '--help']), 'help');
});

test('what is wrong is named, with what is allowed', () => {
  assert.throws(() => parseCommand(['digest']), /unknown question "digest"; there is: ingest/);
  assert.throws(
    () => parseCommand(['ingest', '--events', 'many']),
    /--events is many; it must be a whole number/,
  );
  assert.throws(() => parseCommand(['ingest', '--producers', '0']), /from 1 to 64/);
  assert.throws(() => parseCommand(['ingest', '--event', '1']), /--event/);
});

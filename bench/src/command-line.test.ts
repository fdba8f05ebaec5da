import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Command, parseCommand } from './command-line.js';
import { helpText } from './help.js';
import { questionList } from './question-list.js';

function parse(...args: string[]): Command {
  const command = parseCommand(args, questionList);
  if (command === 'help') throw new Error('asks for help');
  return command;
}

function optionsOf(...args: string[]) {
  return parse(...args).asked[0]!.options;
}

test('a question alone has its defaults', () => {
  const { asked, isAll, jsonFile } = parse('ingest');
  assert.deepEqual([asked.length, isAll, jsonFile], [1, false, undefined]);
  const { seconds, events, producers, rows, profileDirectory } = asked[0]!.options;
  assert.deepEqual([seconds, events, producers], [40, undefined, 1]);
  assert.deepEqual([rows, profileDirectory], [undefined, undefined]);
});

test('options are read, and numbers may be grouped', () => {
  const args = ['ingest', '--events', '3_000_000', '--producers=2', '--json', '/tmp/x.json'];
  const { events, producers } = optionsOf(...args);
  assert.deepEqual([events, producers], [3_000_000, 2]);
  assert.equal(parse(...args).jsonFile, '/tmp/x.json');
});

test('all questions are asked in turn, each with the options that it takes', () => {
  const { asked, isAll } = parse('all', '--producers', '3');
  assert.equal(isAll, true);
  assert.deepEqual(
    asked.map(({ question }) => question),
    questionList,
  );
  for (const { question, options } of asked) {
    assert.equal(options.producers, 'producers' in question.defaults ? 3 : undefined, question.name);
  }
});

test('no question, or --help, asks for help, which names every question', () => {
  assert.equal(parseCommand([], questionList), 'help');
  assert.equal(parseCommand(['ingest', '--help'], questionList), 'help');
  const help = helpText(questionList);
  for (const { name } of questionList) assert.match(help, new RegExp(`^  ${name} `, 'm'));
});

test('what is wrong is named, with what is allowed', () => {
  assert.throws(() => parse('digest'), /unknown question "digest"; there is: ingest, .*all/);
  assert.throws(() => parse('ingest', 'rows'), /unknown question "ingest rows"/);
  assert.throws(() => parse('ingest', '--events', 'many'), /--events is many; it must be a whole number/);
  assert.throws(() => parse('ingest', '--producers', '0'), /from 1 to 64/);
  assert.throws(() => parse('ingest', '--event', '1'), /--event/);
  assert.throws(() => parse('ingest', '--peak', '1000'), /--peak is not an option of this question/);
  assert.throws(() => parse('ingest', '--events', '5000', '--seconds', '5'), /exclude each other/);
  assert.throws(() => parse('all', '--profile', '/tmp/x'), /--profile is not an option/);
});

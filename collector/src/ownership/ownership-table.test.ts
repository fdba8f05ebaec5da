import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Instruction, OwnershipTable } from './ownership-table.js';

function open(workers = 2, producers = 100): { table: OwnershipTable; told: () => string[] } {
  let instructions: Instruction[] = [];
  const table = new OwnershipTable({
    workers,
    producers,
    instruct: (instruction) => instructions.push(instruction),
  });
  const told = (): string[] => {
    const texts = instructions.map((instruction) => {
      const { kind, worker } = instruction;
      if (kind === 'forget_idle') return `${kind} ${worker}`;
      const end =
        kind === 'grant' ? ` ${instruction.sequence}` : kind === 'refuse' ? ` ${instruction.reason}` : '';
      return `${kind} ${worker} ${instruction.key}${end}`;
    });
    instructions = [];
    return texts;
  };
  return { table, told };
}

function ready(workers = 2, producers = 100): ReturnType<typeof open> {
  const opened = open(workers, producers);
  for (let worker = 0; worker < workers; worker++) opened.table.read(worker);
  return opened;
}

test('nothing is granted before every log has been read; then the largest sequence counts', () => {
  const { table, told } = open();
  table.found(0, [{ key: 'p', sequence: 5 }]);
  table.read(0);
  table.claim(0, 'p');
  assert.deepEqual(told(), ['refuse 0 p unread']);
  table.found(1, [{ key: 'p', sequence: 9 }]);
  table.read(1);
  table.claim(0, 'p');
  assert.deepEqual(told(), ['grant 0 p 9']);
});

test('a producer that nobody knows may start anywhere, once', () => {
  const { table, told } = ready();
  table.claim(1, 'p');
  assert.deepEqual(told(), ['grant 1 p 0']);
  table.claim(0, 'p');
  assert.deepEqual(told(), ['release 1 p']);
});

test('the new owner gets it only with the word of the old one, at the sequence that is durable there', () => {
  const { table, told } = ready();
  table.claim(1, 'p');
  table.claim(0, 'p');
  told();
  table.released(1, 'p', 42);
  assert.deepEqual(told(), ['grant 0 p 42']);
  // Said twice, it changes nothing.
  table.released(1, 'p', 43);
  assert.deepEqual(told(), []);
});

test('while it is on its way, a third worker is refused', () => {
  const { table, told } = ready(3);
  table.claim(1, 'p');
  table.claim(0, 'p');
  told();
  table.claim(2, 'p');
  assert.deepEqual(told(), ['refuse 2 p moving']);
});

test('a dead owner keeps its producers until its log has been read back; the others go on', () => {
  const { table, told } = ready();
  table.claim(1, 'p');
  table.claim(0, 'q');
  table.claim(0, 'p');
  told();
  table.ended(1);
  assert.deepEqual(told(), ['refuse 0 p moving']);
  table.claim(0, 'p');
  table.claim(0, 'r');
  assert.deepEqual(told(), ['refuse 0 p moving', 'grant 0 r 0']);
  table.found(1, [
    { key: 'p', sequence: 7 },
    { key: 'q', sequence: 1 },
  ]);
  table.read(1);
  table.claim(0, 'p');
  table.claim(1, 'q');
  assert.deepEqual(told(), ['grant 0 p 7', 'release 0 q']);
});

test('an owner that dies before it has appended leaves the sequence that it was granted', () => {
  const { table, told } = ready();
  table.claim(0, 'p');
  table.claim(1, 'p');
  table.released(0, 'p', 30);
  table.ended(1);
  table.read(1);
  told();
  table.claim(0, 'p');
  assert.deepEqual(told(), ['grant 0 p 30']);
});

test('what a worker had released lies at rest, and outlives its death', () => {
  const { table, told } = ready();
  table.found(1, [{ key: 'p', sequence: 3 }]);
  table.ended(1);
  table.claim(0, 'p');
  assert.deepEqual(told(), ['grant 0 p 3']);
});

test('a claimant that dies gets nothing; the producer comes to rest', () => {
  const { table, told } = ready();
  table.claim(0, 'p');
  table.claim(1, 'p');
  table.ended(1);
  told();
  table.released(0, 'p', 8);
  assert.deepEqual(told(), []);
  table.claim(0, 'p');
  assert.deepEqual(told(), ['grant 0 p 8']);
});

test('above wal.producers a new one is refused, and everyone is told to forget who was silent', () => {
  const { table, told } = ready(2, 1);
  table.claim(0, 'p');
  told();
  table.claim(1, 'q');
  assert.deepEqual(told(), ['refuse 1 q full', 'forget_idle 0', 'forget_idle 1']);
  // Only where it last lay can it be forgotten for good.
  table.forgotten(1, 'p');
  assert.equal(table.size, 1);
  table.forgotten(0, 'p');
  table.claim(1, 'q');
  assert.deepEqual(told(), ['grant 1 q 0']);
});

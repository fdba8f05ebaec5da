import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Exception } from './exceptions.js';
import { layoutOf, reviseNative } from './native-revision.js';

// SELECT 1 AS a, 'xy' AS s: two columns, one row.
const block = Buffer.from('\x02\x01\x01a\x05UInt8\x01\x01s\x06String\x02xy', 'latin1');
const revised = Buffer.from(
  '\x01\x00\x02\xff\xff\xff\xff\x00\x02\x01\x01a\x05UInt8\x00\x01\x01s\x06String\x00\x02xy',
  'latin1',
);

async function revise(chunks: Buffer[]): Promise<Buffer> {
  async function* source(): AsyncGenerator<Buffer> {
    yield* chunks;
  }
  const out: Buffer[] = [];
  for await (const chunk of reviseNative(source())) out.push(chunk);
  return Buffer.concat(out);
}

test('block info goes before a block, a byte behind each type', async () => {
  assert.deepEqual(await revise([block]), revised);
  assert.deepEqual(await revise([]), Buffer.alloc(0));
});

test('it does not matter where the stream is cut', async () => {
  const stream = Buffer.concat([block, block, block]);
  const expected = Buffer.concat([revised, revised, revised]);
  for (let at = 0; at <= stream.length; at++) {
    assert.deepEqual(await revise([stream.subarray(0, at), stream.subarray(at)]), expected, `cut at ${at}`);
  }
  assert.deepEqual(await revise([...stream].map((byte) => Buffer.from([byte]))), expected);
});

test('a block without rows has no data', async () => {
  const empty = Buffer.from('\x01\x00\x01a\x16LowCardinality(String)', 'latin1');
  assert.equal((await revise([empty])).toString('latin1').slice(8), `${empty.toString('latin1')}\x00`);
});

test('a type whose length cannot be told is refused by name', () => {
  for (const type of [
    'JSON',
    'Dynamic',
    'Variant(Int8, String)',
    'AggregateFunction(sum, Int8)',
    'Array(JSON)',
  ]) {
    assert.throws(
      () => layoutOf(type),
      (error) => error instanceof Exception && error.exceptionCode === 48,
      type,
    );
  }
});

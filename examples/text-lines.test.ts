import assert from 'node:assert/strict';
import { test } from 'node:test';
import { splitLines } from './text-lines.js';

async function split(chunks: readonly string[], limitChars = 100): Promise<[string, number][]> {
  async function* source(): AsyncGenerator<string> {
    yield* chunks;
  }
  const lines: [string, number][] = [];
  for await (const { text, cut } of splitLines(source(), limitChars)) lines.push([text, cut]);
  return lines;
}

test('lines end with LF or CRLF, wherever the chunks are cut, and the last one may end with neither', async () => {
  const text = 'a\r\n\nb\rc\u2028d\nlast';
  for (let at = 0; at <= text.length; at++) {
    const lines = await split([text.slice(0, at), text.slice(at)]);
    assert.deepEqual(lines, [
      ['a', 0],
      ['', 0],
      ['b\rc\u2028d', 0],
      ['last', 0],
    ]);
  }
  assert.deepEqual(await split(['a\n']), [['a', 0]]);
});

test('a line that is too long is cut, and the next one is whole', async () => {
  assert.deepEqual(await split(['abc', 'def', 'gh\nij\n'], 4), [
    ['abcd', 4],
    ['ij', 0],
  ]);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CommandFailure } from './failure.js';
import { withoutException } from './store-query.js';

async function* broken(...chunks: string[]): AsyncGenerator<Buffer> {
  for (const chunk of chunks) yield Buffer.from(chunk);
  throw new Error('other side closed');
}

async function* whole(...chunks: string[]): AsyncGenerator<Buffer> {
  for (const chunk of chunks) yield Buffer.from(chunk);
}

async function read(answer: AsyncIterable<Buffer>): Promise<{ text: string; error: unknown }> {
  let text = '';
  try {
    for await (const chunk of answer) text += chunk.toString();
  } catch (error) {
    return { text, error };
  }
  return { text, error: undefined };
}

const exception = 'Code: 395. DB::Exception: no. (SOME)\n';
const trailer = `\r\n__exception__\r\nabcd\r\n${exception}${exception.length} abcd\r\n__exception__\r\n`;

test('an exception behind the rows is an error with its text, wherever the chunks are cut', async () => {
  for (const at of [0, 5, 20, trailer.length - 3]) {
    const { text, error } = await read(
      withoutException(broken('1\n2\n', trailer.slice(0, at), trailer.slice(at)), 'abcd'),
    );
    assert.equal(text, '1\n2\n');
    assert.ok(error instanceof CommandFailure);
    assert.equal(error.message, exception.trim());
  }
});

test('an answer that breaks off without a word is an error, not a short result', async () => {
  const { error } = await read(withoutException(broken('1\n'), 'abcd'));
  assert.equal((error as Error).message, 'other side closed');
});

test('bytes pass through unchanged, many and few', async () => {
  const chunks = Array.from({ length: 50 }, (_, index) => `${index},`.repeat(1000));
  const { text, error } = await read(withoutException(whole(...chunks), undefined));
  assert.equal(error, undefined);
  assert.equal(text, chunks.join(''));
  assert.deepEqual(await read(withoutException(whole(), undefined)), { text: '', error: undefined });
});

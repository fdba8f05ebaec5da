import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MessageDecoder, MessageTooLarge } from './message-decoder.js';
import { MessageMemory } from './message-memory.js';
import { PieceMemory, pieceBytes } from './piece-memory.js';

function framed(text: string): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(text.length, 1);
  return Buffer.concat([prefix, Buffer.from(text)]);
}

function makeDecoder(
  messageBytes: number,
  giveBack: (rest: Buffer) => void,
  mayReadOn: () => boolean = () => true,
): MessageDecoder {
  return new MessageDecoder(
    messageBytes,
    { messages: new MessageMemory(), pieces: new PieceMemory() },
    { giveBack, mayReadOn },
  );
}

function textsOf(messages: readonly Buffer[]): string[] {
  return messages.map((message) => message.toString('utf8', 5));
}

test('messages come out whole, however they are cut', () => {
  const texts = ['', 'a', 'x'.repeat(100), 'y'.repeat(5000), '', 'z'.repeat(70_000)];
  const all = Buffer.concat(texts.map(framed));
  for (const size of [1, 2, 3, 7, 1000, 16_384, all.length]) {
    const decoder = makeDecoder(100_000, () => assert.fail('nothing is given back'));
    const received: string[] = [];
    for (let at = 0; at < all.length; at += size) {
      received.push(...textsOf(decoder.write(all.subarray(at, at + size))));
    }
    assert.deepEqual(received, texts);
    assert.equal(decoder.isInMessage, false);
    assert.equal(decoder.heldBytes, 0);
  }
});

test('an incomplete message holds less than a piece more than what has come of it, and says what is missing', () => {
  const decoder = makeDecoder(16 * 1024 * 1024, () => undefined);
  const message = framed('x'.repeat(1_000_000));
  for (let at = 0; at < message.length - 1; at += 10_000) {
    const part = message.subarray(at, Math.min(at + 10_000, message.length - 1));
    assert.deepEqual(decoder.write(part), []);
    const come = at + part.length;
    assert.ok(decoder.heldBytes < come + pieceBytes, `${decoder.heldBytes} of ${come}`);
    assert.equal(decoder.missingBytes, message.length - come);
  }
  decoder.clear();
  assert.equal(decoder.heldBytes, 0);
});

test('a message beyond the limit is refused by its prefix, before anything of it is kept', () => {
  const decoder = makeDecoder(10, () => undefined);
  assert.throws(() => decoder.write(framed('x'.repeat(11)).subarray(0, 5)), MessageTooLarge);
  assert.equal(decoder.heldBytes, 0);
});

test('of thousands of messages in one frame, a few come at once and the rest is given back', () => {
  let rest = Buffer.concat(Array.from({ length: 1000 }, (_, index) => framed(String(index))));
  const received: string[] = [];
  while (rest.length > 0) {
    const data = rest;
    rest = Buffer.alloc(0);
    const decoder = makeDecoder(10, (back) => {
      rest = Buffer.from(back);
    });
    const messages = decoder.write(data);
    assert.ok(messages.length <= 32);
    received.push(...textsOf(messages));
  }
  assert.deepEqual(
    received,
    Array.from({ length: 1000 }, (_, index) => String(index)),
  );
});

test('while reading on is not allowed, a message that stays incomplete waits with nothing but its prefix', () => {
  const waiting: Buffer[] = [];
  let mayReadOn = false;
  const decoder = makeDecoder(
    100_000,
    (rest) => waiting.push(rest),
    () => mayReadOn,
  );
  const [small, large] = [framed('a'), framed('x'.repeat(50_000))];
  // What is there in full costs no more when it is taken.
  assert.deepEqual(textsOf(decoder.write(Buffer.concat([small, large.subarray(0, 1000)]))), ['a']);
  assert.deepEqual(
    [waiting.map(({ length }) => length), decoder.heldBytes, decoder.missingBytes],
    [[995], 0, 50_000],
  );
  mayReadOn = true;
  decoder.write(waiting[0] as Buffer);
  assert.deepEqual(textsOf(decoder.write(large.subarray(1000))), ['x'.repeat(50_000)]);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { innerLimits } from '../limits.js';
import { PieceMemory, pieceBytes } from './piece-memory.js';

const perSlab = innerLimits.receive.pieces.slabBytes / pieceBytes;

function takeMany(memory: PieceMemory, count: number): number[] {
  return Array.from({ length: count }, () => memory.take());
}

test('every piece has one holder, and keeps what was written to it', () => {
  const memory = new PieceMemory();
  const pieces = takeMany(memory, 3 * perSlab);
  assert.equal(new Set(pieces).size, pieces.length);
  for (const [index, piece] of pieces.entries())
    memory.write(piece, 0, Buffer.alloc(pieceBytes, index), 0, pieceBytes);
  const found = Buffer.alloc(pieceBytes);
  for (const [index, piece] of pieces.entries()) {
    memory.read(piece, pieceBytes, found, 0);
    assert.ok(found.equals(Buffer.alloc(pieceBytes, index)), `piece ${piece}`);
  }
});

test('a part of a piece is written and read where it is told', () => {
  const memory = new PieceMemory();
  memory.take();
  const piece = memory.take();
  memory.write(piece, 0, Buffer.from('abcdef'), 1, 3);
  memory.write(piece, 2, Buffer.from('xyz'), 0, 2);
  const found = Buffer.from('.......');
  memory.read(piece, 4, found, 2);
  assert.equal(found.toString(), '..bcxy.');
});

test('pieces that were released are used again before there is more memory', () => {
  const memory = new PieceMemory();
  for (let round = 0; round < 10; round++) {
    for (const piece of takeMany(memory, perSlab)) memory.release(piece);
  }
  assert.equal(memory.bytes, perSlab * pieceBytes);
  assert.equal(memory.heldBytes, 0);
});

test('a burst is kept for the next one, and given up when none came', () => {
  const memory = new PieceMemory();
  const burst = (): void => {
    for (const piece of takeMany(memory, 10 * perSlab)) memory.release(piece);
  };
  burst();
  memory.trim();
  burst();
  memory.trim();
  assert.equal(memory.bytes, 10 * perSlab * pieceBytes);
  const held = takeMany(memory, perSlab + 1);
  memory.trim();
  memory.trim();
  assert.equal(memory.bytes, 2 * perSlab * pieceBytes);
  for (const piece of held) memory.release(piece);
  memory.trim();
  memory.trim();
  assert.equal(memory.bytes, 0);
});

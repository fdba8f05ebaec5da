/**
 * Memory for messages that are not complete, in pieces of one size. A thousand producers have as many messages under
 * way; each in a buffer that grows would leave a trail of outgrown ones, which V8 gives back only tens of mebibytes later
 * (60 MiB of them with 1,000 busy producers).
 *
 * Invariants:
 * 1. A piece has one holder, from `take` to `release`.
 * 2. Slabs that were not needed between two trims are given up, so that a burst is not paid for ever; the last ones
 *    first, as far as nobody holds a piece of them.
 */
import { innerLimits } from '../limits.js';

export const pieceBytes = 4096;
const { slabBytes } = innerLimits.receive.pieces;
const piecesPerSlab = slabBytes / pieceBytes;

interface Slab {
  readonly bytes: Buffer;
  /** Pieces that nobody holds, by their place in the slab. */
  readonly free: number[];
}

export class PieceMemory {
  readonly #slabs: Slab[] = [];
  #freePieces = 0;
  /** The most pieces that were held at a time since the last trim. */
  #peakPieces = 0;

  /** What it occupies, free pieces included. */
  get bytes(): number {
    return this.#slabs.length * slabBytes;
  }

  get heldBytes(): number {
    return this.#heldPieces * pieceBytes;
  }

  get #heldPieces(): number {
    return this.#slabs.length * piecesPerSlab - this.#freePieces;
  }

  /** A piece's number. What it holds is anybody's. */
  take(): number {
    if (this.#freePieces === 0) this.#grow();
    // The first slab that has one, so that the last ones become free as a whole.
    let index = 0;
    while ((this.#slabs[index] as Slab).free.length === 0) index++;
    this.#freePieces--;
    if (this.#heldPieces > this.#peakPieces) this.#peakPieces = this.#heldPieces;
    return index * piecesPerSlab + ((this.#slabs[index] as Slab).free.pop() as number);
  }

  release(piece: number): void {
    this.#slabOf(piece).free.push(piece % piecesPerSlab);
    this.#freePieces++;
  }

  /** Gives up slabs that were not needed since the last time. Call it every few seconds. */
  trim(): void {
    const needed = Math.ceil(this.#peakPieces / piecesPerSlab);
    while (this.#slabs.length > needed && this.#slabs.at(-1)?.free.length === piecesPerSlab) {
      this.#slabs.pop();
      this.#freePieces -= piecesPerSlab;
    }
    this.#peakPieces = this.#heldPieces;
  }

  /** Copies bytes of `data` into a piece, from its byte `offset` on. */
  write(piece: number, offset: number, data: Buffer, start: number, end: number): void {
    data.copy(this.#slabOf(piece).bytes, (piece % piecesPerSlab) * pieceBytes + offset, start, end);
  }

  /** Copies a piece's first `length` bytes out. */
  read(piece: number, length: number, target: Buffer, targetStart: number): void {
    const start = (piece % piecesPerSlab) * pieceBytes;
    this.#slabOf(piece).bytes.copy(target, targetStart, start, start + length);
  }

  #grow(): void {
    this.#slabs.push({
      bytes: Buffer.allocUnsafeSlow(slabBytes),
      free: Array.from({ length: piecesPerSlab }, (_, place) => piecesPerSlab - 1 - place),
    });
    this.#freePieces += piecesPerSlab;
  }

  #slabOf(piece: number): Slab {
    return this.#slabs[Math.floor(piece / piecesPerSlab)] as Slab;
  }
}

/**
 * Cuts what a call's stream brings into gRPC messages (a flag, four bytes of length, the message), in
 * place of grpc-js's own decoder, which keeps every DATA frame of an incomplete message as an object of
 * its own: a 16 MiB message sent byte by byte would cost it gigabytes.
 *
 * Invariants:
 * 1. `heldBytes` is what an incomplete message occupies: what was received of it and less than a piece; or all of a
 *    large one, in memory that was kept free.
 * 2. No more than `messagesAtOnce` complete messages are returned; the rest of the bytes goes back.
 * 3. Of a message that is not complete and may not be read on, nothing more than its prefix is taken.
 */
import { innerLimits } from '../limits.js';
import type { MessageMemory } from './message-memory.js';
import { type PieceMemory, pieceBytes } from './piece-memory.js';

export const prefixBytes = 5;
const { messagesAtOnce } = innerLimits.receive;
/** Few producers send such messages: these are received where they stay, which saves a copy. */
const { leastBytes: largeBytes } = innerLimits.receive.memory.large;
const nothing = Buffer.alloc(0);

export class MessageTooLarge extends Error {}

export interface DecoderOwner {
  /** Takes bytes that `write` was given and did not look at; they come again later. */
  giveBack(rest: Buffer): void;
  /** Whether a message that stays incomplete may be read on now. */
  mayReadOn(): boolean;
}

export class MessageDecoder {
  readonly #messageBytes: number;
  readonly #memory: MessageMemory;
  readonly #pieceMemory: PieceMemory;
  readonly #owner: DecoderOwner;
  readonly #prefix = Buffer.alloc(prefixBytes);
  #prefixLength = 0;
  /** Room for the whole message and its prefix, if it is large; else empty. */
  #message: Buffer = nothing;
  /** What has come of it, prefix included, if it is not. */
  #pieces: number[] = [];
  #length = 0;
  /** With its prefix; 0 between messages. */
  #wanted = 0;

  constructor(
    messageBytes: number,
    memory: { readonly messages: MessageMemory; readonly pieces: PieceMemory },
    owner: DecoderOwner,
  ) {
    this.#messageBytes = messageBytes;
    this.#memory = memory.messages;
    this.#pieceMemory = memory.pieces;
    this.#owner = owner;
  }

  get heldBytes(): number {
    return this.#message.length + this.#pieces.length * pieceBytes;
  }

  get isInMessage(): boolean {
    return this.#prefixLength > 0;
  }

  /** Bytes still to come of the message that has begun; 0 between messages. */
  get missingBytes(): number {
    return this.#wanted === 0 ? 0 : this.#wanted - Math.max(this.#length, prefixBytes);
  }

  /** Drops the message that has begun. */
  clear(): void {
    if (this.#message.length > 0) this.#memory.release(this.#message);
    this.#releasePieces();
    this.#next();
  }

  /** The messages that are complete with this data, each with its prefix. Throws `MessageTooLarge`. */
  write(data: Buffer): Buffer[] {
    const complete: Buffer[] = [];
    let at = 0;
    while (at < data.length) {
      if (complete.length === messagesAtOnce) {
        this.#owner.giveBack(data.subarray(at));
        break;
      }
      if (this.#wanted === 0) {
        const taken = data.copy(this.#prefix, this.#prefixLength, at, at + prefixBytes - this.#prefixLength);
        at += taken;
        this.#prefixLength += taken;
        if (this.#prefixLength < prefixBytes) break;
        this.#begin();
      }
      const available = data.length - at;
      if (available < this.missingBytes && !this.#owner.mayReadOn()) {
        if (available > 0) this.#owner.giveBack(data.subarray(at));
        break;
      }
      at += this.#take(data, at);
      if (this.#length === this.#wanted) {
        const message = this.#message;
        complete.push(message.length === this.#wanted ? message : message.subarray(0, this.#wanted));
        this.#next();
      }
    }
    return complete;
  }

  #begin(): void {
    const declared = this.#prefix.readUInt32BE(1);
    if (declared > this.#messageBytes) {
      this.clear();
      throw new MessageTooLarge(
        `the message has ${declared} bytes; at most ${this.#messageBytes} are allowed (message.messageBytes)`,
      );
    }
    this.#wanted = prefixBytes + declared;
  }

  #next(): void {
    this.#message = nothing;
    this.#length = 0;
    this.#wanted = 0;
    this.#prefixLength = 0;
  }

  #take(data: Buffer, at: number): number {
    const taken = Math.min(data.length - at, this.missingBytes);
    const isComplete = taken === this.missingBytes;
    if (this.#length === 0) {
      if (isComplete) this.#message = this.#memory.take(this.#wanted);
      else if (this.#wanted >= largeBytes) this.#message = this.#memory.takeKept(this.#wanted) ?? nothing;
      this.#append(this.#prefix, 0, prefixBytes);
    } else if (isComplete && this.#message.length === 0) this.#join();
    this.#append(data, at, at + taken);
    return taken;
  }

  #append(data: Buffer, from: number, end: number): void {
    if (this.#message.length > 0) {
      data.copy(this.#message, this.#length, from, end);
      this.#length += end - from;
      return;
    }
    for (let at = from; at < end; ) {
      const offset = this.#length % pieceBytes;
      if (offset === 0) this.#pieces.push(this.#pieceMemory.take());
      const count = Math.min(end - at, pieceBytes - offset);
      this.#pieceMemory.write(this.#pieces.at(-1) as number, offset, data, at, at + count);
      at += count;
      this.#length += count;
    }
  }

  /** Moves what has come into memory that has room for the rest. */
  #join(): void {
    const message = this.#memory.take(this.#wanted);
    for (let at = 0; at < this.#length; at += pieceBytes) {
      const piece = this.#pieces[at / pieceBytes] as number;
      this.#pieceMemory.read(piece, Math.min(pieceBytes, this.#length - at), message, at);
    }
    this.#releasePieces();
    this.#message = message;
  }

  #releasePieces(): void {
    for (const piece of this.#pieces) this.#pieceMemory.release(piece);
    this.#pieces.length = 0;
  }
}

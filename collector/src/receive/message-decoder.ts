/**
 * Cuts what a call's stream brings into gRPC messages (a flag, four bytes of length, the message), in
 * place of grpc-js's own decoder, which keeps every DATA frame of an incomplete message as an object of
 * its own: a 16 MiB message sent byte by byte would cost it gigabytes.
 *
 * Invariants:
 * 1. `heldBytes` is what an incomplete message occupies: at most four times what was received of it, and
 *    twice from 1 MiB on; or all of it, in memory that was kept free.
 * 2. No more than `messagesAtOnce` complete messages are returned; the rest of the bytes goes back.
 * 3. Of a message that is not complete and may not be read on, nothing more than its prefix is taken.
 */
import { innerLimits } from '../limits.js';
import type { MessageMemory } from './message-memory.js';

export const prefixBytes = 5;
/** Least first buffer of a message: little, so that thousands of slow clients cost little. */
const firstBytes = 1024;
/** Up to here an SDK's requests go: they grow in few steps, so that little is copied. */
const manyBytes = 1024 * 1024;
const { messagesAtOnce } = innerLimits.receive;
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
  readonly #owner: DecoderOwner;
  readonly #prefix = Buffer.alloc(prefixBytes);
  #prefixLength = 0;
  /** Room for the message's prefix and as much of it as has come, or more; empty until something is read. */
  #message: Buffer = nothing;
  #length = 0;
  /** With its prefix; 0 between messages. */
  #wanted = 0;

  constructor(messageBytes: number, memory: MessageMemory, owner: DecoderOwner) {
    this.#messageBytes = messageBytes;
    this.#memory = memory;
    this.#owner = owner;
  }

  get heldBytes(): number {
    return this.#message.length;
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
    if (this.#length === 0) {
      const available = prefixBytes + data.length - at;
      const bytes = Math.min(this.#wanted, Math.max(available, firstBytes));
      this.#message = this.#memory.takeKept(this.#wanted) ?? this.#memory.take(bytes);
      this.#length = this.#prefix.copy(this.#message);
    }
    let message = this.#message;
    const taken = Math.min(data.length - at, this.#wanted - this.#length);
    const needed = this.#length + taken;
    if (needed > message.length) {
      // The memory may add a quarter to it.
      const factor = message.length < manyBytes ? 3 : 1.5;
      const bytes = Math.min(this.#wanted, Math.max(needed, Math.floor(message.length * factor)));
      const larger = this.#memory.take(bytes);
      message.copy(larger, 0, 0, this.#length);
      this.#memory.release(message);
      this.#message = larger;
      message = larger;
    }
    data.copy(message, this.#length, at, at + taken);
    this.#length = needed;
    return taken;
  }
}

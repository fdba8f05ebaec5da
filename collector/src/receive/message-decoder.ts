/**
 * Cuts what a call's stream brings into gRPC messages (a flag, four bytes of length, the message), in
 * place of grpc-js's own decoder, which keeps every DATA frame of an incomplete message as an object of
 * its own: a 16 MiB message sent byte by byte would cost it gigabytes.
 *
 * Invariants:
 * 1. `heldBytes` is what an incomplete message occupies: at most four times what was received of it, and
 *    twice from 1 MiB on.
 * 2. No more than `messagesAtOnce` complete messages are returned; the rest of the bytes goes back.
 */
import { innerLimits } from '../limits.js';
export const prefixBytes = 5;
/** Least first buffer of a message: little, so that thousands of slow clients cost little. */
const firstBytes = 1024;
/** Up to here an SDK's requests go: they grow in few steps, so that little is copied. */
const manyBytes = 1024 * 1024;
const { messagesAtOnce } = innerLimits.receive;

export class MessageTooLarge extends Error {}

export class MessageDecoder {
  readonly #messageBytes: number;
  readonly #giveBack: (rest: Buffer) => void;
  readonly #prefix = Buffer.alloc(prefixBytes);
  #prefixLength = 0;
  /** The message's prefix and as much of it as has come; undefined between messages. */
  #message: Buffer | undefined;
  #length = 0;
  #wanted = 0;

  /** @param giveBack takes bytes that `write` was given and did not look at; they come again later */
  constructor(messageBytes: number, giveBack: (rest: Buffer) => void) {
    this.#messageBytes = messageBytes;
    this.#giveBack = giveBack;
  }

  get heldBytes(): number {
    return this.#message?.length ?? 0;
  }

  get isInMessage(): boolean {
    return this.#prefixLength > 0;
  }

  /** Bytes still to come of the message that has begun; 0 between messages. */
  get missingBytes(): number {
    return this.#message === undefined ? 0 : this.#wanted - this.#length;
  }

  /** Bytes of the message that has begun, as its client declared them. */
  get declaredBytes(): number {
    return this.#wanted - prefixBytes;
  }

  /** Drops the message that has begun. */
  clear(): void {
    this.#message = undefined;
    this.#prefixLength = 0;
  }

  /** The messages that are complete with this data, each with its prefix. Throws `MessageTooLarge`. */
  write(data: Buffer): Buffer[] {
    const complete: Buffer[] = [];
    let at = 0;
    while (at < data.length) {
      if (complete.length === messagesAtOnce) {
        this.#giveBack(data.subarray(at));
        break;
      }
      if (this.#message === undefined) {
        const taken = data.copy(this.#prefix, this.#prefixLength, at, at + prefixBytes - this.#prefixLength);
        at += taken;
        this.#prefixLength += taken;
        if (this.#prefixLength < prefixBytes) break;
        this.#begin(data.length - at);
      }
      at += this.#take(data, at);
      if (this.#length === this.#wanted) {
        complete.push(this.#message as unknown as Buffer);
        this.clear();
      }
    }
    return complete;
  }

  #begin(available: number): void {
    const declared = this.#prefix.readUInt32BE(1);
    if (declared > this.#messageBytes) {
      this.clear();
      throw new MessageTooLarge(
        `the message has ${declared} bytes; at most ${this.#messageBytes} are allowed (message.messageBytes)`,
      );
    }
    this.#wanted = prefixBytes + declared;
    this.#message = Buffer.allocUnsafe(Math.min(this.#wanted, prefixBytes + Math.max(available, firstBytes)));
    this.#length = this.#prefix.copy(this.#message);
  }

  #take(data: Buffer, at: number): number {
    let message = this.#message as Buffer;
    const taken = Math.min(data.length - at, this.#wanted - this.#length);
    const needed = this.#length + taken;
    if (needed > message.length) {
      const factor = message.length < manyBytes ? 4 : 2;
      const larger = Buffer.allocUnsafe(Math.min(this.#wanted, Math.max(needed, message.length * factor)));
      message.copy(larger, 0, 0, this.#length);
      this.#message = larger;
      message = larger;
    }
    data.copy(message, this.#length, at, at + taken);
    this.#length = needed;
    return taken;
  }
}

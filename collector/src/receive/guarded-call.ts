/**
 * One call as grpc-js runs it, with what it may hold counted and bounded.
 *
 * grpc-js reads a stream into a decoder of its own, inflates whatever is compressed at once, and tells
 * nobody until a message is complete. So the parts that do this are replaced, in fields that are not
 * part of its interface: the version is pinned, a test holds the fields to what they are, and where one
 * is missing the call runs as grpc-js made it and the collector says so.
 */
import { constants, type ServerHttp2Stream } from 'node:http2';
import { type ServerInterceptingCallInterface, status } from '@grpc/grpc-js';
import { innerLimits, type ReceiveLimits } from '../limits.js';
import type { FrameGarbage } from './frame-garbage.js';
import type { Inflater } from './inflater.js';
import type { Refusal } from './intake.js';
import { MessageDecoder, prefixBytes } from './message-decoder.js';
import type { MessageMemory } from './message-memory.js';
import type { PieceMemory } from './piece-memory.js';
import type { HoldingCall, Reception } from './reception.js';
import { toStatus } from './status.js';
import type { Valve } from './valve.js';

export interface GrpcInternals {
  stream: ServerHttp2Stream;
  decoder: { write(data: Buffer): Buffer[] };
  decompressMessage(message: Buffer, encoding: string): Buffer | Promise<Buffer>;
}

export interface GuardedCallOptions {
  readonly call: ServerInterceptingCallInterface & GrpcInternals;
  /** Whether one message is all that the call carries: then it waits for the half-close. */
  readonly isUnary: boolean;
  readonly limits: ReceiveLimits;
  readonly messageBytes: number;
  readonly memory: { readonly messages: MessageMemory; readonly pieces: PieceMemory };
  readonly garbage: FrameGarbage;
  readonly reception: Reception;
  readonly valve: Valve;
  readonly inflater: Inflater;
  readonly monotonic: () => number;
}

/** What one DATA frame costs while it is queued, besides its bytes: a Buffer and its backing store. */
const queuedFrameBytes = 256;
const { lingerMs } = innerLimits.receive;

export function hasInternals(
  call: ServerInterceptingCallInterface,
): call is ServerInterceptingCallInterface & GrpcInternals {
  const { stream, decoder, decompressMessage } = call as Partial<GrpcInternals>;
  return (
    typeof stream?.push === 'function' &&
    typeof decoder?.write === 'function' &&
    typeof decompressMessage === 'function'
  );
}

export class GuardedCall implements HoldingCall {
  readonly #options: GuardedCallOptions;
  readonly #stream: ServerHttp2Stream;
  readonly #decoder: MessageDecoder;
  #queuedFrames = 0;
  /** Complete, with its prefix, and not yet taken by the handler. */
  #waitingBytes = 0;
  #accounted = 0;
  /** Of `#waitingBytes`, what the valve was told. */
  #valved = 0;
  #isPaused = false;
  #isOver = false;
  #isHalfClosed = false;
  #lastProgressMs: number;
  #answeredMs: number | undefined;
  readingMs = 0;
  isLetOn = false;

  constructor(options: GuardedCallOptions) {
    this.#options = options;
    this.#stream = options.call.stream;
    this.#lastProgressMs = options.monotonic();
    this.#decoder = new MessageDecoder(options.messageBytes, options.memory, {
      giveBack: (rest) => {
        this.#stream.pause();
        this.#stream.unshift(rest);
      },
      mayReadOn: () => options.reception.mayReadOn(this),
    });
  }

  start(): void {
    const { call, reception } = this.#options;
    const stream = this.#stream;
    reception.add(this);
    stream.once('close', () => this.#end());
    // Everything that arrives passes here, also while nobody reads.
    const push = stream.push;
    stream.push = (chunk, encoding) => {
      if (chunk !== null) this.#queuedFrames++;
      const more = push.call(stream, chunk, encoding);
      // What was read at once is counted by then.
      if (stream.readableLength > 0) this.#account();
      return more;
    };
    call.decoder = { write: (data) => this.#decode(data) };
    const decompress = call.decompressMessage;
    call.decompressMessage = (message, encoding) =>
      encoding === 'identity' ? decompress.call(call, message, encoding) : this.#inflate(message, encoding);
  }

  get heldBytes(): number {
    return this.#accounted;
  }

  get missingBytes(): number {
    if (this.#isOver || this.#isHalfClosed) return 0;
    // A request is not complete before its half-close, if that alone is missing.
    if (this.#options.isUnary && this.#waitingBytes > 0) return 1;
    return this.#decoder.missingBytes;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  pause(): void {
    this.#isPaused = true;
    this.#stream.pause();
  }

  resume(): void {
    this.#isPaused = false;
    if (!this.#stream.destroyed) this.#stream.resume();
  }

  /** Answers the call now, whatever its handler does, and stops its client from sending on. */
  refuse(refusal: Refusal): void {
    if (this.#isOver) return;
    this.#end();
    this.#options.call.sendStatus(toStatus(refusal));
    setImmediate(() => this.#stream.close(constants.NGHTTP2_NO_ERROR));
  }

  /** The handler has taken a message of `bytes`, or the whole request of a call that carries one. */
  taken(bytes: number): void {
    this.#waitingBytes = Math.max(0, this.#waitingBytes - bytes - prefixBytes);
    this.#lastProgressMs = this.#options.monotonic();
    this.#account();
  }

  /** Whether the call may go on: one that ends within a message is refused. */
  halfClosed(): boolean {
    if (this.#decoder.isInMessage) {
      this.refuse({
        kind: 'invalid',
        message: 'the call was half-closed within a message; what came before it stays in the log',
      });
    }
    this.#isHalfClosed = true;
    return !this.#isOver;
  }

  /** Ends what waits for its client for too long. Of the time since the last sweep nothing was read for `closedMs`. */
  sweep(nowMs: number, closedMs: number): void {
    this.#lastProgressMs += closedMs;
    if (this.#stream.writableEnded) {
      // What is left of it goes nowhere any more, and must not keep others from being read.
      this.#end();
      this.#answeredMs ??= nowMs;
      // The answer is complete; HTTP/2 lets the server ask for the rest not to be sent.
      if (nowMs - this.#answeredMs > lingerMs) this.#stream.close(constants.NGHTTP2_NO_ERROR);
      return;
    }
    const { callIdleMs } = this.#options.limits;
    // A message that has begun is the reception's to judge; one that waits for the log is our delay.
    if (this.#isOver || this.#isHalfClosed || this.missingBytes > 0) return;
    if (this.#waitingBytes > 0) {
      this.#lastProgressMs = nowMs;
      return;
    }
    if (nowMs - this.#lastProgressMs <= callIdleMs) return;
    this.refuse({
      kind: 'unavailable',
      message: `the call carried nothing for ${callIdleMs} ms (receive.callIdleMs); half-close a call to get its acknowledgment`,
      retryDelayMs: 0,
    });
  }

  #decode(data: Buffer): Buffer[] {
    if (this.#isOver) return [];
    this.#queuedFrames = Math.max(0, this.#queuedFrames - 1);
    this.#options.garbage.add(data.length);
    const wasIn = this.#decoder.isInMessage;
    try {
      const messages = this.#decoder.write(data);
      for (const message of messages) this.#waitingBytes += message.length;
      if (messages.length > 0 || !wasIn) {
        this.readingMs = 0;
        this.isLetOn = false;
      }
      this.#account();
      // Refused while it was counted.
      return this.#isOver ? [] : messages;
    } catch (error) {
      this.#end();
      throw error;
    }
  }

  async #inflate(framed: Buffer, encoding: string): Promise<Buffer> {
    const { inflater, messageBytes } = this.#options;
    const result = await inflater.inflate(framed.subarray(prefixBytes), encoding, () => !this.#isOver);
    // What it held is given back now, not when its stream is closed: until then others might not be read.
    if (result.kind !== 'inflated') this.#end();
    switch (result.kind) {
      case 'inflated':
        this.#waitingBytes += result.message.length + prefixBytes - framed.length;
        this.#account();
        return result.message;
      case 'too_large':
        throw failure(
          status.RESOURCE_EXHAUSTED,
          `the message inflates to more than ${messageBytes} bytes, which is all that is allowed (message.messageBytes)`,
        );
      case 'broken':
        throw failure(status.INVALID_ARGUMENT, `the message is not valid ${encoding}: ${result.problem}`);
      case 'unknown_encoding':
        throw failure(
          status.UNIMPLEMENTED,
          `the message is compressed with ${encoding}; gzip and deflate are supported`,
        );
    }
  }

  #account(): void {
    // A unary call's message waits for its client, too.
    const waiting = this.#isOver || this.#options.isUnary ? 0 : this.#waitingBytes;
    if (waiting !== this.#valved) {
      const change = waiting - this.#valved;
      this.#valved = waiting;
      this.#options.valve.account(change);
    }
    const held = this.#isOver
      ? 0
      : this.#stream.readableLength +
        this.#queuedFrames * queuedFrameBytes +
        this.#decoder.heldBytes +
        this.#waitingBytes;
    const change = held - this.#accounted;
    if (change === 0) return;
    this.#accounted = held;
    this.#options.reception.account(change);
  }

  /** Holds nothing any more. */
  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#decoder.clear();
    this.#account();
    this.#options.reception.remove(this);
    if (this.#isPaused) this.resume();
  }
}

/** grpc-js sends what a decompression rejects with as the call's status. */
function failure(code: status, details: string): Error {
  return Object.assign(new Error(details), { code, details, metadata: null });
}

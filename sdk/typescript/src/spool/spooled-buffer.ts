import type { EventEncoder } from '../buffer/event-encoder.js';
import { type FrozenRequest, freezeLost, thawRequest } from '../buffer/frozen-request.js';
import { RequestBuffer, type RequestBufferSettings } from '../buffer/request-buffer.js';
import type { Clock, Timer } from '../clock.js';
import { internalLimits } from '../limits.js';
import type { ReadBack, SpoolWriter } from './spool-writer.js';

export interface SpooledBufferSettings extends RequestBufferSettings {
  /** Bytes of written requests that stay in memory to be sent. Negative: none, nothing is ever sent from here. */
  readonly windowBytes: number;
  /** Room in the buffer that is kept free for reading back, while there is something to read back. */
  readonly readBackBytes: number;
}

/** Requests that are in the file alone. */
interface Spilled {
  first: number;
  last: number;
  events: number;
}

/**
 * A request buffer whose frozen requests go to the spool as well, and may leave memory once they are there.
 *
 * Invariants:
 * 1. In the order of their numbers: `frozen`, then what was spilled, then `behind`, then drafts. Only while something
 *    is spilled is there anything behind it; and nothing behind it is in the file yet.
 * 2. A request leaves memory only when it is in the file and was not handed to a call.
 * 3. `bufferedEvents` holds all that is not acknowledged; `spooledEvents` are those of them that are in the file.
 */
export class SpooledBuffer extends RequestBuffer {
  readonly #settings: SpooledBufferSettings;
  readonly #spool: SpoolWriter;
  readonly #loaded: () => void;
  readonly #failed: (error: unknown) => void;
  #spooledEvents = 0;
  #spilled: Spilled | undefined;
  readonly #behind: FrozenRequest[] = [];
  #isLoading = false;
  #retry: Timer | undefined;

  constructor(parts: {
    settings: SpooledBufferSettings;
    encoder: EventEncoder;
    producer: Uint8Array;
    clock: Clock;
    spool: SpoolWriter;
    /** Something that was read back is in `frozen`. */
    loaded: () => void;
    /** The spool could not be read; it is tried again, or its events are counted as lost. */
    failed: (error: unknown) => void;
  }) {
    super(parts.settings, parts.encoder, parts.producer, parts.clock);
    this.#settings = parts.settings;
    this.#spool = parts.spool;
    this.#loaded = parts.loaded;
    this.#failed = parts.failed;
  }

  override get spooledEvents(): number {
    return this.#spooledEvents;
  }

  override get firstPending(): number {
    return this.frozen[0]?.first ?? this.#spilled?.first ?? this.firstUnfrozen;
  }

  override release(durable: number): boolean {
    const hasReleased = super.release(durable);
    this.#spool.forget(this.firstPending - 1);
    this.#reserve();
    return hasReleased;
  }

  override loadMore(): boolean {
    if (this.#spilled === undefined) return false;
    if (this.#isLoading || this.#retry !== undefined) return true;
    this.#isLoading = true;
    void this.#spool.read(this.#spilled.first).then(
      (read) => this.#takeBack(read),
      (error: unknown) => {
        this.#isLoading = false;
        this.#failed(error);
        // As when it cannot be written: a limit of open files passes, and what is in the file is not lost yet.
        this.#retry = this.clock.setTimer(() => {
          this.#retry = undefined;
          this.#loaded();
        }, internalLimits.spoolRetryMs);
      },
    );
    return true;
  }

  /** Freezes everything there is. */
  freezeAll(): void {
    while (this.freeze(true));
  }

  /** A request is in the file. */
  written(request: FrozenRequest): void {
    if (request.spooled === 'gone') return;
    request.spooled = 'stored';
    this.#spooledEvents += request.events;
    if (this.#behind[0] === request) {
      this.#behind.shift();
      this.#spill([request]);
      return;
    }
    // Written in order, so what is behind it in `frozen` is not in the file yet: few, if the disk keeps up.
    const index = this.frozen.lastIndexOf(request);
    if (index < 0 || request.sends > 0 || this.#frozenCost(index) <= this.#settings.windowBytes) return;
    const rest = this.frozen.splice(index + 1);
    this.frozen.pop();
    this.#behind.push(...rest);
    this.#spill([request]);
  }

  /** What takes the place of requests that there is no room for: losses of the same numbers. */
  loseRest(requests: readonly FrozenRequest[]): FrozenRequest[] {
    const [oldest] = requests;
    const newest = requests.at(-1);
    if (oldest === undefined || newest === undefined) return [];
    const losses = requests.flatMap((request) => request.losses);
    return freezeLost(
      { from: oldest.first, last: newest.last, losses, reason: 'closed', timeMs: this.clock.wallMs() },
      this.producer,
    );
  }

  override close(): void {
    // Counted now; what the disk says later changes nothing any more.
    for (const request of [...this.frozen, ...this.#behind]) request.spooled = 'gone';
    super.close();
    this.#behind.length = 0;
    this.#spilled = undefined;
    if (this.#retry !== undefined) this.clock.clearTimer(this.#retry);
  }

  protected override append(request: FrozenRequest): void {
    if (this.#spilled === undefined) {
      super.append(request);
    } else {
      this.#behind.push(request);
      this.bufferedBytes += request.bytesWithProducer.length;
    }
    this.#spool.append(request);
  }

  protected override forget(request: FrozenRequest): void {
    super.forget(request);
    if (request.spooled === 'stored') this.#spooledEvents -= request.events;
    request.spooled = 'gone';
  }

  #spill(requests: readonly FrozenRequest[]): void {
    for (const { first, last, events, bytesWithProducer } of requests) {
      this.bufferedBytes -= bytesWithProducer.length;
      this.#spilled ??= { first, last, events: 0 };
      this.#spilled.last = last;
      this.#spilled.events += events;
    }
    this.#reserve();
  }

  #takeBack({ requests, through }: ReadBack): void {
    this.#isLoading = false;
    const spilled = this.#spilled;
    if (spilled === undefined) return;
    const end = Math.min(through, spilled.last);
    for (const stored of requests) {
      if (stored.first < spilled.first || stored.last > end) continue;
      if (stored.first > spilled.first) this.#loseSpilled(spilled, stored.first - 1);
      this.hold(this.frozen.length, thawRequest(stored, this.producer));
      spilled.first = stored.last + 1;
      spilled.events -= stored.events;
    }
    if (spilled.first <= end) this.#loseSpilled(spilled, end);
    if (spilled.first > spilled.last) {
      // What was in damaged frames: how many numbers of them were events is known only now.
      this.bufferedEvents -= spilled.events;
      this.#spooledEvents -= spilled.events;
      this.dropped.spool_damaged += spilled.events;
      this.#spilled = undefined;
      this.frozen.push(...this.#behind.splice(0));
    }
    this.#reserve();
    this.#loaded();
  }

  /** Numbers that cannot be read back any more, up to `last`. */
  #loseSpilled(spilled: Spilled, last: number): void {
    this.insertLost(this.frozen.length, { from: spilled.first, last, losses: [] }, 'spool_damaged');
    this.#failed(new Error(`sequences ${spilled.first} to ${last} are damaged and reported as lost`));
    spilled.first = last + 1;
  }

  #reserve(): void {
    const { bufferBytes, readBackBytes } = this.#settings;
    const held = this.#spilled === undefined ? 0 : Math.max(0, readBackBytes - this.#frozenBytes());
    this.capacity = bufferBytes - held;
  }

  /** Bytes of the requests in `frozen`, as far as the reserve needs to know. */
  #frozenBytes(): number {
    let bytes = 0;
    for (const request of this.frozen) {
      bytes += request.bytesWithProducer.length;
      if (bytes >= this.#settings.readBackBytes) break;
    }
    return bytes;
  }

  /** What the requests before an index cost in memory, and the one at it. */
  #frozenCost(index: number): number {
    if (this.#settings.windowBytes < 0) return 0;
    let behind = 0;
    for (let at = index + 1; at < this.frozen.length; at++)
      behind += this.frozen[at]!.bytesWithProducer.length;
    return this.#heldBytes() - behind + (index + 1) * internalLimits.requestOverheadBytes;
  }

  /** Bytes of all frozen requests: what is buffered, without the drafts. */
  #heldBytes(): number {
    return this.bufferedBytes - this.draftBytes;
  }
}

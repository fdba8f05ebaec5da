import type { Clock } from '../clock.js';
import { Delivery, type DeliverySettings } from '../delivery.js';
import type { Diagnostics } from '../diagnostics.js';
import type { Transport } from '../transport/transport.js';
import type { SpoolFiles } from './files.js';
import type { Orphan } from './orphan.js';
import { OrphanBuffer } from './orphan-buffer.js';

/** Delivers one orphan, by the same rules as a logger delivers its own. */
export class OrphanSender {
  readonly buffer: OrphanBuffer;
  readonly #delivery: Delivery;
  readonly #orphan: Orphan;
  #delivered: () => void = () => undefined;

  constructor(parts: {
    orphan: Orphan;
    producer: Buffer;
    files: SpoolFiles;
    transport: Transport;
    clock: Clock;
    diagnostics: Diagnostics;
    settings: DeliverySettings;
    random?: () => number;
    isEnding?: () => boolean;
    failed: (error: unknown) => void;
  }) {
    this.#orphan = parts.orphan;
    this.buffer = new OrphanBuffer({ ...parts, loaded: () => this.#onLoaded() });
    this.#delivery = new Delivery({ ...parts, buffer: this.buffer, released: () => this.#onLoaded() });
  }

  get lastError(): string | undefined {
    return this.#delivery.counts.lastError;
  }

  /** Resolves when everything is acknowledged. Nothing of it keeps the process alive but calls. */
  deliver(): Promise<void> {
    return new Promise((resolve) => {
      this.#delivered = resolve;
      this.#onLoaded();
    });
  }

  /** The same with a deadline (false: it passed), in a hurry, and it does keep the process alive. */
  async deliverWithin(timeoutMs: number): Promise<boolean> {
    if (this.buffer.isDelivered) return true;
    await this.#delivery.waitFor(this.#orphan.last, timeoutMs);
    return this.buffer.firstPending > this.#orphan.last;
  }

  /** Gives up the call that is open; resolves when the files are as they should be. */
  async stop(): Promise<void> {
    this.stopSync();
    await this.buffer.stop();
  }

  stopSync(): void {
    this.#delivery.stop();
  }

  #onLoaded(): void {
    if (this.buffer.isDelivered) this.#delivered();
    else this.#delivery.noticeSealed();
  }
}

import type { EventEncoder } from '../buffer/event-encoder.js';
import type { Clock } from '../clock.js';
import type { Deliverer } from '../deliverer.js';
import type { Diagnostics } from '../diagnostics.js';
import { internalLimits } from '../limits.js';
import type { Settings } from '../options.js';
import type { SpoolFiles } from './files.js';
import { ownerText, thisProcess } from './owner.js';
import { SpoolWriter } from './spool-writer.js';
import { SpooledBuffer } from './spooled-buffer.js';
import { SpooledDelivery } from './spooled-delivery.js';

/** Whatever takes over what other processes left in the directory. */
export interface TakingOver {
  stop(): Promise<void>;
  stopSync(): void;
}

/** Composition root of a logger's spool: what the logger has of it. */
export class LoggerSpool {
  readonly #parts: {
    readonly settings: Settings & { readonly spoolDir: string };
    readonly producer: Uint8Array;
    readonly clock: Clock;
    readonly diagnostics: Diagnostics;
    readonly takingOver?: TakingOver;
  };
  readonly #writer: SpoolWriter;
  #delivery: SpooledDelivery | undefined;

  constructor(parts: {
    settings: Settings & { readonly spoolDir: string };
    /** 16 bytes. */
    producerId: Uint8Array;
    /** The producer field that goes in front of requests. */
    producer: Uint8Array;
    clock: Clock;
    diagnostics: Diagnostics;
    files: SpoolFiles;
    takingOver?: TakingOver;
  }) {
    const { settings, producerId, producer, clock, files } = parts;
    this.#parts = parts;
    this.#writer = new SpoolWriter({
      directory: settings.spoolDir,
      producerId,
      producer,
      owner: ownerText(thisProcess()),
      segmentBytes: segmentBytes(settings),
      limitBytes: settings.spoolBytes,
      queueBytes: settings.bufferBytes / 4,
      files,
      clock,
    });
  }

  /** Bytes of the spool's files. */
  get bytes(): number {
    return this.#writer.bytes;
  }

  /** Whether something stays in the directory, be it losses alone. */
  get isLeft(): boolean {
    return this.#writer.bytes > 0;
  }

  /** Makes the logger's buffer and deliverer. Once. */
  connect(parts: {
    encoder: EventEncoder;
    /** Makes the delivery to the collector; absent offline. */
    deliveryOf: ((buffer: SpooledBuffer) => Deliverer) | undefined;
  }): { buffer: SpooledBuffer; delivery: Deliverer } {
    const { settings, producer, clock } = this.#parts;
    const { bufferBytes, requestBytes } = settings;
    const isOffline = parts.deliveryOf === undefined;
    const buffer = new SpooledBuffer({
      settings: {
        bufferBytes,
        requestBytes,
        windowBytes: isOffline ? -1 : bufferBytes / 2,
        readBackBytes: Math.min(segmentBytes(settings), bufferBytes / 4),
      },
      encoder: parts.encoder,
      producer,
      clock,
      spool: this.#writer,
      loaded: () => inner?.noticeSealed(),
      failed: (error) => this.#report('read', error),
    });
    const inner = parts.deliveryOf?.(buffer);
    const delivery = new SpooledDelivery({
      inner,
      buffer,
      spool: this.#writer,
      clock,
      requestAgeMs: settings.requestAgeMs,
    });
    this.#delivery = delivery;
    this.#writer.start({
      written: (request) => buffer.written(request),
      idle: () => delivery.noticeIdle(),
      failed: (error) => this.#report('written', error),
    });
    return { buffer, delivery };
  }

  /** After the delivery was stopped: leaves what is not acknowledged in the spool. */
  async finish(): Promise<void> {
    await Promise.all([this.#stopTakingOver(), this.#delivery?.finish()]);
  }

  /** Everything is acknowledged. */
  async release(): Promise<void> {
    await Promise.all([this.#stopTakingOver(), this.#delivery?.release()]);
  }

  finishSync(): void {
    this.#delivery?.finishSync();
    this.#parts.takingOver?.stopSync();
  }

  releaseSync(): void {
    this.#delivery?.releaseSync();
    this.#parts.takingOver?.stopSync();
  }

  /** A disk that hangs must not keep close() from resolving. */
  #stopTakingOver(): Promise<void> {
    const { takingOver, clock } = this.#parts;
    if (takingOver === undefined) return Promise.resolve();
    return new Promise((resolve) => {
      const end = (): void => {
        clock.clearTimer(timer);
        resolve();
      };
      const timer = clock.setTimer(end, internalLimits.spoolCloseMs, true);
      void takingOver.stop().then(end, end);
    });
  }

  #report(what: 'read' | 'written', error: unknown): void {
    const { spoolDir } = this.#parts.settings;
    const meanwhile =
      what === 'written'
        ? `; events stay in memory meanwhile, it is tried again in ${internalLimits.spoolRetryMs} ms`
        : '';
    this.#parts.diagnostics.report(
      'spool',
      () =>
        `the spool directory ${spoolDir} (spoolDir) cannot be ${what}: ` +
        `${error instanceof Error ? error.message : String(error)}${meanwhile}`,
    );
  }
}

/** A file is read back as a whole, so it must be small beside the buffer, and the limit be several files. */
function segmentBytes({ bufferBytes, spoolBytes }: Settings): number {
  const { min, max } = internalLimits.spoolSegmentBytes;
  return Math.max(min, Math.min(max, bufferBytes / 8, spoolBytes / 8));
}

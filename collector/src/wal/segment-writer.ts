/** One open segment: frames go to its end, and nothing counts until `sync` has returned. */
import { isPlanted, reach } from '../fault-points.js';
import {
  type DurableSnapshot,
  encodeDurablePayload,
  encodeFrameHeader,
  encodeGroupPayload,
  encodeProducerHead,
  encodeSealPayload,
  encodeSegmentPayload,
  frameHeaderBytes,
  frameSeed,
  frameType,
} from './frame.js';
import { encodeRequestHead, type RequestHead } from './request-payload.js';
import { newSegmentFileName, segmentFileName } from './segment-name.js';
import type { LogStorage, SegmentFile } from './storage.js';

export class SegmentWriter {
  readonly id: string;
  readonly createdUnixMs: number;
  /** Bytes that are on the disk for sure; everything behind may be cut off. */
  syncedBytes = 0;
  /** Where the next frame goes. */
  bytes = 0;
  requestCount = 0;
  eventCount = 0;
  producerCount = 0;
  ledgerRows = 0;
  /** What its requests take beyond their bytes while they are encoded. */
  expansionBytes = 0;
  readonly #file: SegmentFile;
  readonly #seed: number;
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  /** Counts at the last sync, to go back to. */
  #synced = { requestCount: 0, eventCount: 0, producerCount: 0, ledgerRows: 0, expansionBytes: 0 };

  private constructor(id: string, createdUnixMs: number, file: SegmentFile) {
    this.id = id;
    this.createdUnixMs = createdUnixMs;
    this.#file = file;
    this.#seed = frameSeed(id);
  }

  /**
   * Creates the file with its first two frames, and makes both the file and its name durable. It gets
   * its name only when the frames are on the disk, so a file of that name without them is damaged. On
   * failure, no file is left behind, as far as the file system lets us.
   */
  static async create(
    storage: LogStorage,
    id: string,
    createdUnixMs: number,
    durable: DurableSnapshot,
  ): Promise<SegmentWriter> {
    const name = segmentFileName(id);
    const newName = newSegmentFileName(id);
    const file = await storage.create(newName);
    const writer = new SegmentWriter(id, createdUnixMs, file);
    try {
      writer.#put(frameType.segment, [encodeSegmentPayload(id, createdUnixMs)]);
      writer.#put(frameType.durable, [encodeDurablePayload(durable)]);
      await writer.sync();
      await storage.rename(newName, name);
      if (!isPlanted('no-directory-sync')) await storage.syncDirectory();
      return writer;
    } catch (error) {
      await file.close().catch(() => undefined);
      // A rename that reports an error may have been done. What stays is removed later: it holds nothing.
      await storage.remove(newName).catch(() => undefined);
      await storage.remove(name).catch(() => undefined);
      throw error;
    }
  }

  /** Adds a producer; returns its index in this segment. */
  addProducer(id: Buffer, encoded: Buffer, baseSequence: number): number {
    this.#add(frameType.producer, [
      encodeProducerHead({ index: this.producerCount, baseSequence, id }),
      encoded,
    ]);
    return this.producerCount++;
  }

  addRequest(producerIndex: number, head: RequestHead, request: Buffer): void {
    this.#add(frameType.request, [encodeRequestHead(producerIndex, head), request]);
    this.requestCount++;
    this.eventCount += head.eventCount;
    this.ledgerRows += head.ledgerRows;
    this.expansionBytes += head.expansionBytes;
  }

  /** What is added between two syncs is a group, and starts with a frame that says so. */
  #add(type: number, parts: readonly Buffer[]): void {
    if (this.#pending.length === 0) this.#put(frameType.group, [encodeGroupPayload(this.bytes)]);
    this.#put(type, parts);
  }

  #put(type: number, parts: readonly Buffer[]): void {
    const header = encodeFrameHeader(type, { seed: this.#seed, offset: this.bytes }, parts);
    this.#pending.push(header, ...parts);
    let bytes = frameHeaderBytes;
    for (const part of parts) bytes += part.length;
    this.#pendingBytes += bytes;
    this.bytes += bytes;
  }

  /** Writes what was added and waits until it is on the disk. */
  async sync(): Promise<void> {
    let buffers = this.#pending;
    let left = this.#pendingBytes;
    let position = this.syncedBytes;
    this.#pending = [];
    this.#pendingBytes = 0;
    while (left > 0) {
      const written = await this.#file.write(buffers, position);
      if (written <= 0)
        throw new Error(`a write to segment ${this.id} wrote nothing; ${left} bytes are left`);
      position += written;
      left -= written;
      if (left > 0) buffers = dropBytes(buffers, written);
    }
    reach('sync.before');
    await this.#syncFile();
    reach('sync.after');
    this.syncedBytes = position;
    this.#synced = {
      requestCount: this.requestCount,
      eventCount: this.eventCount,
      producerCount: this.producerCount,
      ledgerRows: this.ledgerRows,
      expansionBytes: this.expansionBytes,
    };
  }

  #syncFile(): Promise<void> {
    if (!isPlanted('retry-failed-sync')) return this.#file.sync();
    return this.#file.sync().catch(() => this.#file.sync());
  }

  /** After a failed `sync`: cuts off whatever of it reached the file, durably. */
  async rollBack(): Promise<void> {
    this.#pending = [];
    this.#pendingBytes = 0;
    this.bytes = this.syncedBytes;
    this.requestCount = this.#synced.requestCount;
    this.eventCount = this.#synced.eventCount;
    this.producerCount = this.#synced.producerCount;
    this.ledgerRows = this.#synced.ledgerRows;
    this.expansionBytes = this.#synced.expansionBytes;
    await this.#file.truncate(this.syncedBytes);
    await this.#file.sync();
  }

  /** Adds the last frame. After it, the file is only read. */
  async seal(): Promise<void> {
    this.#add(frameType.seal, [encodeSealPayload(this.requestCount, this.eventCount)]);
    await this.sync();
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

/** The buffers without their first `count` bytes, after a short write. */
function dropBytes(buffers: readonly Buffer[], count: number): Buffer[] {
  let left = count;
  let index = 0;
  while (left >= (buffers[index] as Buffer).length) left -= (buffers[index++] as Buffer).length;
  return [(buffers[index] as Buffer).subarray(left), ...buffers.slice(index + 1)];
}

/**
 * Reads sealed segments back, one at a time into one buffer that all lanes of the worker share: what
 * a segment's bytes become is copied out of them at once, so they are not needed while it is inserted.
 *
 * What of a damaged segment is missing stands in the files behind it. The log keeps the next one until
 * the damaged one is settled.
 */
import { innerLimits } from './limits.js';
import type { Damage, SegmentContents } from './record.js';
import { decodeStoredProducer } from './validate/decode-producer.js';
import { damageOf, type YoungerSegment } from './wal/damage.js';
import type { SealedSegment } from './wal/log.js';
import { segmentFileName, segmentIdsOf } from './wal/segment-name.js';
import { isWhole, readSegment, type SegmentReading, segmentContents } from './wal/segment-reader.js';
import { isAbsent, type LogStorage } from './wal/storage.js';

const mebibyte = 1024 * 1024;
const { scratchBytes } = innerLimits.wal;

export class SegmentSource {
  readonly #storage: LogStorage;
  #scratch: Buffer;
  #busy: Promise<unknown> = Promise.resolve();

  /** @param expectedBytes size of a full segment; memory is taken only as far as segments fill it */
  constructor(storage: LogStorage, expectedBytes: number) {
    this.#storage = storage;
    this.#scratch = Buffer.allocUnsafeSlow(expectedBytes + mebibyte);
  }

  /**
   * Reads a segment and gives it to `work`, whose result must not refer to the segment's bytes.
   * `damage` says what of the file cannot be read; it is undefined for a sound one. Rejects with a
   * system error if the file, or the one that tells what it held, cannot be read now.
   */
  read<Result>(
    sealed: SealedSegment,
    work: (segment: SegmentContents, damage: Damage | undefined) => Result,
  ): Promise<Result> {
    const result = this.#busy.then(async () => {
      if (this.#scratch.length < sealed.bytes && sealed.bytes < scratchBytes)
        this.#scratch = Buffer.allocUnsafeSlow(sealed.bytes + mebibyte);
      const bytes = await this.#readFile(sealed.id, this.#scratch);
      const reading = readSegment(bytes, sealed.id);
      const damage = isWhole(reading) ? undefined : await this.#damageOf(sealed.id, reading);
      return work(segmentContents(reading, sealed.id, bytes, decodeStoredProducer), damage);
    });
    // The caller has the failure; the next one only waits for the buffer.
    this.#busy = result.catch(() => undefined);
    return result;
  }

  /** A file that someone has taken away reads as one without a byte: it is damage like any other. */
  async #readFile(id: string, scratch?: Buffer): Promise<Buffer> {
    try {
      return await this.#storage.read(segmentFileName(id), scratch);
    } catch (error) {
      if (isAbsent(error)) return Buffer.alloc(0);
      throw error;
    }
  }

  async #damageOf(id: string, reading: SegmentReading): Promise<Damage | undefined> {
    const behind = segmentIdsOf(await this.#storage.list()).filter((other) => other > id);
    const younger: YoungerSegment[] = [];
    for (const other of behind) {
      const { opened, durable } = readSegment(await this.#readFile(other), other);
      younger.push({ id: other, durable: opened ? durable : undefined });
      if (opened) return damageOf(id, reading, younger);
    }
    // At a start on a full disk the next segment is not open yet. Until it is, this one stays anyway.
    throw Object.assign(
      new Error(`segment ${id} is damaged, and no younger one is there yet to tell what it held`),
      { code: 'EAGAIN', syscall: 'read' },
    );
  }
}

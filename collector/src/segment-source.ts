/**
 * Reads sealed segments back, one at a time into one buffer that all lanes of the worker share: what
 * a segment's bytes become is copied out of them at once, so they are not needed while it is inserted.
 */
import type { SegmentContents } from './record.js';
import { decodeStoredProducer } from './validate/decode-producer.js';
import type { SealedSegment } from './wal/log.js';
import { segmentFileName } from './wal/segment-name.js';
import { readSegment, segmentContents } from './wal/segment-reader.js';
import type { LogStorage } from './wal/storage.js';

const mebibyte = 1024 * 1024;

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
   * `damage` says what of the file could not be read; it is empty for a sound one.
   */
  read<Result>(
    sealed: SealedSegment,
    work: (segment: SegmentContents, damage: string) => Result,
  ): Promise<Result> {
    const result = this.#busy.then(async () => {
      if (this.#scratch.length < sealed.bytes)
        this.#scratch = Buffer.allocUnsafeSlow(sealed.bytes + mebibyte);
      const bytes = await this.#storage.read(segmentFileName(sealed.id), this.#scratch);
      const reading = readSegment(bytes, sealed.id);
      const damage = reading.sealed
        ? ''
        : `${reading.unreadBytes} bytes behind byte ${reading.soundBytes} do not pass their checksum`;
      return work(segmentContents(reading, sealed.id, bytes, decodeStoredProducer), damage);
    });
    // The caller has the failure; the next one only waits for the buffer.
    this.#busy = result.catch(() => undefined);
    return result;
  }
}

import { join } from 'node:path';
import type { FrozenRequest } from '../buffer/frozen-request.js';
import type { Clock, Timer } from '../clock.js';
import { internalLimits } from '../limits.js';
import type { SpoolFiles } from './files.js';
import {
  acknowledgedFrame,
  folderName,
  frameSeed,
  headerFrame,
  readSegment,
  requestFrame,
  type StoredRequest,
  segmentFileName,
} from './format.js';

export interface SpoolWriterParts {
  /** The spool directory; the producer's folder is made in it when there is something to write. */
  readonly directory: string;
  /** 16 bytes. */
  readonly producerId: Uint8Array;
  /** The producer field of a request. */
  readonly producer: Uint8Array;
  /** This process, as it stands in the folder's name. */
  readonly owner: string;
  readonly segmentBytes: number;
  readonly limitBytes: number;
  /** Bytes that may wait for the disk before no more should be frozen for it. */
  readonly queueBytes: number;
  readonly files: SpoolFiles;
  readonly clock: Clock;
}

export interface SpoolWriterEvents {
  /** A request is in the file. In the order of appending; a request that was acknowledged before is left out. */
  written(request: FrozenRequest): void;
  /** Nothing is left to write, or there is room again. */
  idle(): void;
  /** The disk failed; it is tried again by itself. */
  failed(error: unknown): void;
}

interface Segment {
  readonly number: number;
  readonly path: string;
  readonly seed: number;
  size: number;
  first: number;
  last: number;
  isSynced: boolean;
  /** A failed write may have left something behind `size`, which a shorter one would not cover. */
  hasTail: boolean;
}

interface Batch {
  readonly requests: readonly FrozenRequest[];
  readonly buffers: readonly Uint8Array[];
  readonly bytes: number;
}

/** What a read of the spool gave. */
export interface ReadBack {
  readonly requests: readonly StoredRequest[];
  /** Everything up to here is in `requests`, or damaged. */
  readonly through: number;
}

/**
 * Writes a logger's frozen requests into its folder of the spool directory, and deletes what is acknowledged.
 *
 * Invariants:
 * 1. One operation at a time, all asynchronous, until `writeSync`. Nothing here throws.
 * 2. Requests are written in order, each once, or not at all if they are acknowledged before their turn.
 * 3. A write goes to a position, so that a failed one is repeated in the same place, and one that is under way when
 *    the process exits may be repeated beside itself: both put the same bytes there.
 * 4. A segment is deleted when everything in it is acknowledged, and never written to after that was decided.
 */
export class SpoolWriter {
  /** Bytes in the folder. */
  bytes = 0;
  readonly #parts: SpoolWriterParts;
  #events: SpoolWriterEvents | undefined;
  readonly #queue: FrozenRequest[] = [];
  #queuedBytes = 0;
  readonly #segments: Segment[] = [];
  /** Acknowledged as a whole, and to be deleted. */
  readonly #doomed: Segment[] = [];
  #current: { readonly segment: Segment; readonly file: number } | undefined;
  #nextNumber = 1;
  /** What is being written, and where; for an exit in the middle of it. */
  #underWay: { readonly batch: Batch; readonly position: number } | undefined;
  #hasFolder = false;
  #acknowledged = 0;
  #recorded = 0;
  #isRunning = false;
  #isFull = false;
  /** Set to write a few bytes more than the limit allows. */
  #isBeyondLimit = false;
  #isStopped = false;
  /** A truncation is under way, which must not meet what an exit writes meanwhile. */
  #isCutting = false;
  /** The process exits: nothing asynchronous goes on, whatever still seems to be under way. */
  #hasExited = false;
  #retry: Timer | undefined;
  /** Set when there is no later for which a failed operation could wait. */
  #isHurried = false;
  readonly #waiters = new Set<() => void>();

  constructor(parts: SpoolWriterParts) {
    this.#parts = parts;
  }

  /** Must be called before anything else. */
  start(events: SpoolWriterEvents): void {
    this.#events = events;
  }

  get folder(): string {
    return join(this.#parts.directory, folderName(this.#parts.producerId, this.#parts.owner));
  }

  /** Whether the disk takes more at the moment. */
  get isReady(): boolean {
    const isWorking = this.#retry === undefined && !this.#isFull && !this.#isStopped;
    return isWorking && this.#queuedBytes < this.#parts.queueBytes;
  }

  append(request: FrozenRequest): void {
    if (this.#isStopped) return;
    this.#queue.push(request);
    this.#queuedBytes += request.bytes.length;
    this.#run();
  }

  /** Everything up to a number is acknowledged, or lost in a way that the collector knows. */
  forget(through: number): void {
    if (through <= this.#acknowledged || this.#isStopped) return;
    this.#acknowledged = through;
    this.#run();
  }

  /** Reads what was written from a sequence number on: the rest of one segment. */
  async read(first: number): Promise<ReadBack> {
    const segment = this.#segments.find(({ last }) => last >= first);
    if (segment === undefined) return { requests: [], through: Number.MAX_SAFE_INTEGER };
    const { size, last, number } = segment;
    let bytes: Buffer;
    try {
      bytes = await this.#parts.files.read(segment.path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      bytes = Buffer.alloc(0);
    }
    // Behind the size lies what is being written at the moment.
    const place = { producerId: this.#parts.producerId, segment: number };
    const { requests } = readSegment(bytes.subarray(0, size), place);
    return { requests: requests.filter((request) => request.first >= first), through: last };
  }

  /** From now on a disk that fails is tried again after a moment; one that waits for that already, at once. */
  hurry(): void {
    this.#isHurried = true;
    this.#clearRetry();
    this.#run();
  }

  /** Resolves once everything up to a number is written or acknowledged (true), or there is no telling when it will
   *  be: the disk fails (unless `hurry` was called), the limit is reached, the time is over (false). */
  settle(target: number, timeoutMs: number): Promise<boolean> {
    const isDone = (): boolean => (this.#queue[0]?.first ?? Number.POSITIVE_INFINITY) > target;
    const isWaiting = (): boolean => this.#retry !== undefined && !this.#isHurried;
    const isOver = (): boolean => isDone() || isWaiting() || this.#isFull || this.#isStopped;
    if (isOver()) return Promise.resolve(isDone());
    return new Promise((resolve) => {
      const timer = this.#parts.clock.setTimer(() => end(), timeoutMs, true);
      const end = (): void => {
        this.#parts.clock.clearTimer(timer);
        this.#waiters.delete(check);
        resolve(isDone());
      };
      const check = (): void => {
        if (isOver()) end();
      };
      this.#waiters.add(check);
    });
  }

  /** Resolves once everything written is on the disk itself, to survive a power loss. Rejects if it is not. */
  async sync(): Promise<void> {
    const { files, directory } = this.#parts;
    let isNew = false;
    for (const segment of this.#segments.filter(({ isSynced }) => !isSynced)) {
      // What is written from here on has to be synced again.
      segment.isSynced = true;
      isNew = true;
      try {
        const file = await files.openForWriting(segment.path);
        try {
          await files.sync(file);
        } finally {
          await files.close(file);
        }
      } catch (error) {
        // Acknowledged and deleted meanwhile is as good.
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue;
        segment.isSynced = false;
        throw error;
      }
    }
    if (!isNew) return;
    await files.syncFolder(this.folder);
    await files.syncFolder(directory);
  }

  /** What was appended and is not in the file, the oldest first; none of it is written any more. */
  takeUnwritten(): FrozenRequest[] {
    // What is being written at this moment may yet arrive.
    const kept = this.#hasExited ? 0 : (this.#underWay?.batch.requests.length ?? 0);
    const taken = this.#queue.splice(kept);
    for (const request of taken) this.#queuedBytes -= request.bytes.length;
    return taken;
  }

  /** Writes these whatever the limit says: a few bytes that say what is missing. */
  appendBeyondLimit(requests: readonly FrozenRequest[]): void {
    this.#queue.push(...requests);
    for (const request of requests) this.#queuedBytes += request.bytes.length;
    this.#isFull = false;
    this.#isBeyondLimit = true;
    this.#clearRetry();
    this.#run();
  }

  /** Gives the folder to whoever comes next, or removes it if nothing is in it. Resolves when that is done, or the
   *  disk does not answer in time. */
  async release(timeoutMs: number): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#clearRetry();
    this.#wake();
    if (this.#isRunning && !(await this.#hasEnded(timeoutMs))) return;
    const { files, directory, producerId } = this.#parts;
    try {
      if (this.#current !== undefined) await files.close(this.#current.file);
      this.#current = undefined;
      if (!this.#hasFolder) return;
      if (this.#segments.length === 0) await files.removeFolder(this.folder);
      else await files.rename(this.folder, join(directory, folderName(producerId)));
    } catch (error) {
      // Then it stays this process's, and is free when that is gone.
      if (this.#segments.length > 0) this.#events?.failed(error);
    }
  }

  #hasEnded(timeoutMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const check = (): void => {
        if (!this.#isRunning) end();
        else this.#waiters.add(check);
      };
      const end = (): void => {
        this.#parts.clock.clearTimer(timer);
        this.#waiters.delete(check);
        resolve(!this.#isRunning);
      };
      const timer = this.#parts.clock.setTimer(end, timeoutMs, true);
      this.#waiters.add(check);
    });
  }

  /** Writes what was appended, at once: for a process that exits. Returns what is in the file now. */
  writeSync(): FrozenRequest[] {
    const { files, segmentBytes } = this.#parts;
    const done: FrozenRequest[] = [];
    if (this.#isStopped && !this.#hasExited) return done;
    this.#isStopped = true;
    this.#hasExited = true;
    const write = (segment: Segment, file: number, batch: Batch, position: number): void => {
      files.writeSync(file, batch.buffers, position);
      this.#complete(segment, position, batch);
      done.push(...batch.requests);
    };
    try {
      if (this.#current !== undefined && this.#underWay !== undefined) {
        const { batch, position } = this.#underWay;
        this.#underWay = undefined;
        write(this.#current.segment, this.#current.file, batch, position);
      }
      for (;;) {
        this.#dropAcknowledged();
        if (this.#queue.length === 0) break;
        if (this.#current === undefined || this.#isCutting || this.#current.segment.size >= segmentBytes)
          this.#openSync();
        const { segment, file } = this.#current!;
        if (segment.hasTail) files.truncateSync(file, segment.size);
        segment.hasTail = false;
        const batch = this.#nextBatch(segment);
        if (batch === undefined) break;
        write(segment, file, batch, segment.size);
      }
    } catch (error) {
      this.#events?.failed(error);
    }
    return done;
  }

  /** As `release`, after `writeSync`. */
  releaseSync(): void {
    const { files, directory, producerId } = this.#parts;
    try {
      if (this.#current !== undefined && !this.#isRunning) files.closeSync(this.#current.file);
      this.#current = undefined;
      if (!this.#hasFolder) return;
      if (this.#segments.length + this.#doomed.length === 0) files.removeFolderSync(this.folder);
      else files.renameSync(this.folder, join(directory, folderName(producerId)));
    } catch {
      // The owner in its name is about to be gone, which frees it too.
    }
  }

  #run(): void {
    if (this.#isRunning || this.#retry !== undefined || this.#isStopped || this.#hasExited) return;
    this.#isRunning = true;
    void this.#work()
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#isRunning = false;
        // For what came, or was to be tried again at once, between the end of the work and this.
        if (this.#queue.length > 0 && !this.#isFull) this.#run();
        this.#wake();
        if (!this.#isStopped && this.#retry === undefined) this.#events?.idle();
      });
  }

  async #work(): Promise<void> {
    // What was appended together, and acknowledgments that came together, are one operation.
    await Promise.resolve();
    while (!this.#isStopped) {
      await this.#removeAcknowledged();
      this.#dropAcknowledged();
      if (this.#isStopped) return;
      if (this.#queue.length > 0) {
        if (!(await this.#writeNext())) return;
      } else if (!(await this.#recordAcknowledged())) {
        return;
      }
      this.#wake();
    }
  }

  /** False if the limit does not allow it. */
  async #writeNext(): Promise<boolean> {
    const { segmentBytes } = this.#parts;
    if (this.#current === undefined || this.#current.segment.size >= segmentBytes) {
      if (this.#wouldExceed(this.#queue[0]!)) return false;
      await this.#open();
      if (this.#isStopped) return false;
    }
    const current = this.#current;
    if (current === undefined) return false;
    const { segment, file } = current;
    const batch = this.#nextBatch(segment);
    if (batch === undefined) return false;
    if (!(await this.#write(segment, file, batch))) return false;
    for (const request of batch.requests) this.#events?.written(request);
    return true;
  }

  async #open(): Promise<void> {
    const { files } = this.#parts;
    const before = this.#current;
    this.#current = undefined;
    if (before !== undefined) await files.close(before.file);
    if (this.#isStopped) return;
    // Each time: somebody may have taken the folder away, by hand or because it could not see this process.
    await files.makeFolder(this.folder);
    this.#hasFolder = true;
    if (this.#isStopped) return;
    const segment = this.#newSegment();
    const file = await this.#create(segment);
    if (this.#isStopped) {
      await files.close(file);
      return;
    }
    this.#segments.push(segment);
    this.#current = { segment, file };
  }

  #openSync(): void {
    const { files } = this.#parts;
    // The one before is not closed: something under way may still hold its descriptor, which a new file would get.
    this.#isCutting = false;
    files.makeFolderSync(this.folder);
    this.#hasFolder = true;
    // Its number is not that of one that is being created at this moment: that one took its own before.
    const segment = this.#newSegment();
    const file = this.#createSync(segment);
    this.#segments.push(segment);
    this.#current = { segment, file };
  }

  async #create(segment: Segment): Promise<number> {
    try {
      return await this.#parts.files.create(segment.path);
    } catch (error) {
      if (!isThere(error)) this.#giveBack(segment);
      throw error;
    }
  }

  #createSync(segment: Segment): number {
    try {
      return this.#parts.files.createSync(segment.path);
    } catch (error) {
      if (!isThere(error)) this.#giveBack(segment);
      throw error;
    }
  }

  /** There is no file of that number, so that the next one has it: the first file must be number 1, or nobody would
   *  know that what is damaged in its front began with the first request. */
  #giveBack({ number }: Segment): void {
    // Unless an exit has taken the next one meanwhile.
    if (this.#nextNumber === number + 1) this.#nextNumber = number;
  }

  #newSegment(): Segment {
    const number = this.#nextNumber++;
    return {
      number,
      path: join(this.folder, segmentFileName(number)),
      seed: frameSeed({ producerId: this.#parts.producerId, segment: number }),
      size: 0,
      first: 0,
      last: 0,
      isSynced: false,
      hasTail: false,
    };
  }

  /** The frames that go into a segment next; none if the limit does not allow it. */
  #nextBatch(segment: Segment): Batch | undefined {
    const { producerId, producer, segmentBytes, clock } = this.#parts;
    const requests: FrozenRequest[] = [];
    const buffers: Uint8Array[] = [];
    let bytes = 0;
    if (segment.size === 0) {
      const header = headerFrame({ producerId, segment: segment.number }, clock.wallMs(), producer);
      buffers.push(header);
      bytes += header.length;
    }
    for (const request of this.#queue) {
      if (bytes >= internalLimits.spoolWriteBytes || segment.size + bytes >= segmentBytes) break;
      if (this.#wouldExceed(request, bytes)) break;
      const [head, body] = requestFrame(request, segment.seed);
      buffers.push(head, body);
      bytes += head.length + body.length;
      requests.push(request);
    }
    return requests.length === 0 ? undefined : { requests, buffers, bytes };
  }

  #wouldExceed(request: FrozenRequest, more = 0): boolean {
    if (this.#isBeyondLimit) return false;
    // 1 KiB stands for heads and what an acknowledgment needs.
    this.#isFull = this.bytes + more + request.bytes.length + 1024 > this.#parts.limitBytes;
    return this.#isFull;
  }

  /** A batch is in the file. */
  #complete(segment: Segment, position: number, batch: Batch): void {
    segment.size = position + batch.bytes;
    segment.isSynced = false;
    this.bytes += batch.bytes;
    for (const request of batch.requests) {
      if (this.#queue[0] === request) this.#queue.shift();
      this.#queuedBytes -= request.bytes.length;
      if (segment.first === 0) segment.first = request.first;
      segment.last = request.last;
    }
  }

  #dropAcknowledged(): void {
    while (this.#queue.length > 0 && this.#queue[0]!.last <= this.#acknowledged) {
      this.#queuedBytes -= this.#queue.shift()!.bytes.length;
    }
  }

  async #removeAcknowledged(): Promise<void> {
    const { files } = this.#parts;
    while (this.#segments.length > 0 && this.#segments[0]!.last <= this.#acknowledged) {
      const segment = this.#segments.shift()!;
      this.#doomed.push(segment);
      if (this.#current?.segment !== segment) continue;
      const { file } = this.#current;
      this.#current = undefined;
      await files.close(file);
    }
    while (this.#doomed.length > 0) {
      const segment = this.#doomed[0]!;
      await ifThere(files.remove(segment.path));
      this.#doomed.shift();
      // Its first write failed.
      if (segment.size === 0) this.#giveBack(segment);
      this.bytes -= segment.size;
      this.#isFull = false;
    }
  }

  /** So that what is acknowledged but shares a segment with what is not is not sent again by the next owner. */
  async #recordAcknowledged(): Promise<boolean> {
    const current = this.#current;
    const [oldest] = this.#segments;
    if (current === undefined || oldest === undefined) return false;
    if (this.#acknowledged <= this.#recorded || this.#acknowledged < oldest.first) return false;
    const { segment, file } = current;
    const through = this.#acknowledged;
    const frame = acknowledgedFrame(through, segment.seed);
    const batch = { requests: [], buffers: [frame], bytes: frame.length };
    if (!(await this.#write(segment, file, batch))) return false;
    this.#recorded = through;
    return true;
  }

  /** False if the process exited meanwhile: then `writeSync` has done the same. */
  async #write(segment: Segment, file: number, batch: Batch): Promise<boolean> {
    const { files } = this.#parts;
    if (segment.hasTail) {
      this.#isCutting = true;
      try {
        await files.truncate(file, segment.size);
      } finally {
        this.#isCutting = false;
      }
      if (this.#hasExited) return false;
    }
    segment.hasTail = true;
    this.#underWay = { batch, position: segment.size };
    try {
      await files.write(file, batch.buffers, segment.size);
      segment.hasTail = false;
    } finally {
      this.#underWay = undefined;
    }
    if (this.#hasExited) return false;
    this.#complete(segment, segment.size, batch);
    return true;
  }

  #fail(error: unknown): void {
    if (this.#isStopped) return;
    const { spoolRetryMs, spoolCloseRetryMs } = internalLimits;
    this.#retry = this.#parts.clock.setTimer(
      () => {
        this.#retry = undefined;
        this.#run();
      },
      this.#isHurried ? spoolCloseRetryMs : spoolRetryMs,
    );
    this.#events?.failed(error);
  }

  #clearRetry(): void {
    if (this.#retry !== undefined) this.#parts.clock.clearTimer(this.#retry);
    this.#retry = undefined;
  }

  #wake(): void {
    for (const check of [...this.#waiters]) check();
  }
}

function isThere(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'EEXIST';
}

async function ifThere(removal: Promise<void>): Promise<void> {
  try {
    await removal;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

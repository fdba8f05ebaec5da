import { dirname, join } from 'node:path';
import { thawRequest } from '../buffer/frozen-request.js';
import { FrozenRequests } from '../buffer/frozen-requests.js';
import type { RequestSource } from '../buffer/request-source.js';
import type { Clock } from '../clock.js';
import { internalLimits } from '../limits.js';
import type { SpoolFiles } from './files.js';
import { acknowledgedFrame, folderName, frameSeed, readSegment } from './format.js';
import type { Orphan, OrphanSegment } from './orphan.js';

/**
 * What another process left, as the delivery takes it: file after file, under its producer's own numbers.
 *
 * Invariants:
 * 1. Requests go out byte for byte, in the order of their numbers. Numbers that are missing between them are
 *    reported as lost (`spool_damaged`), in requests of their own.
 * 2. A file is removed when everything in it is acknowledged, and put aside instead if it is damaged. What is
 *    acknowledged of the oldest file is recorded in it.
 * 3. File operations run one after another; one that fails leaves the rest of the folder as it is.
 */
export class OrphanBuffer extends FrozenRequests implements RequestSource {
  readonly hasSealed = false;
  readonly openedMs = undefined;
  /** Nobody logs to it any more. */
  readonly logged = 0;
  /** Numbers that are reported as lost because their part of the spool is damaged or missing. */
  lost = 0;
  readonly #orphan: Orphan;
  readonly #files: SpoolFiles;
  readonly #loaded: () => void;
  readonly #failed: (error: unknown) => void;
  /** The next number to read; 0 if any may be the first. */
  #next: number;
  readonly #unread: OrphanSegment[];
  /** The oldest first; read or not. */
  readonly #kept: (OrphanSegment & { end: number })[];
  #isLoading = false;
  #recorded: number;
  #operations: Promise<void> = Promise.resolve();
  #isBroken = false;
  #isStopped = false;

  constructor(parts: {
    orphan: Orphan;
    producer: Buffer;
    files: SpoolFiles;
    clock: Clock;
    /** Something is in `frozen`, or there is nothing more. */
    loaded: () => void;
    failed: (error: unknown) => void;
  }) {
    super(parts.producer, parts.clock);
    this.#orphan = parts.orphan;
    this.#files = parts.files;
    this.#loaded = parts.loaded;
    this.#failed = parts.failed;
    this.#next = parts.orphan.next;
    this.#recorded = parts.orphan.acknowledged;
    this.#unread = [...parts.orphan.segments];
    this.#kept = parts.orphan.segments.map((segment) => ({ ...segment, end: segment.soundBytes }));
    this.bufferedEvents = parts.orphan.events;
  }

  get firstPending(): number {
    return this.frozen[0]?.first ?? Math.max(this.#next, 1);
  }

  get isDelivered(): boolean {
    return this.frozen.length === 0 && this.#unread.length === 0 && !this.#isLoading;
  }

  freeze(): boolean {
    return false;
  }

  loadMore(): boolean {
    const segment = this.#unread[0];
    if (segment === undefined || this.#isStopped) return this.#isLoading;
    if (this.#isLoading) return true;
    this.#isLoading = true;
    this.#files.read(segment.path).then(
      (bytes) => {
        this.#unread.shift();
        this.#isLoading = false;
        if (segment.last > 0) this.#take(bytes, segment);
        this.#loaded();
      },
      (error: unknown) => {
        this.#failed(error);
        this.clock.setTimer(() => {
          this.#isLoading = false;
          this.#loaded();
        }, internalLimits.spoolRetryMs);
      },
    );
    return true;
  }

  override release(durable: number): boolean {
    const hasReleased = super.release(durable);
    // More may be stored than was sent from here: somebody delivered it before.
    if (this.frozen.length === 0 && durable >= this.#next) this.#next = durable + 1;
    this.#record(this.firstPending - 1);
    return hasReleased;
  }

  /** Resolves when the files are as they should be. Nothing is read or written afterwards. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#operations;
  }

  /** After everything was acknowledged: removes what is left of the folder, or puts it aside if it is damaged.
   *  Says where it is then. */
  async finish(): Promise<string | undefined> {
    this.#record(Number.POSITIVE_INFINITY);
    await this.stop();
    if (this.#isBroken) return undefined;
    const { path, damages } = this.#orphan;
    if (damages.length > 0) return setAside(this.#files, this.#orphan);
    try {
      await this.#files.removeFolder(path);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // Files that an earlier attempt put aside, or that are nobody's here.
      if (code === 'ENOTEMPTY' || code === 'EEXIST') return setAside(this.#files, this.#orphan);
      throw error;
    }
    await this.#files.syncFolder(dirname(path));
    return undefined;
  }

  protected override mayBeStored(): boolean {
    return true;
  }

  #take(bytes: Buffer, { number }: OrphanSegment): void {
    const { requests } = readSegment(bytes, { producerId: this.#orphan.producerId, segment: number });
    for (const request of requests) {
      if (request.first < this.#next) {
        // It was acknowledged, or is in the file twice; nothing that begins in the middle of another is ever written.
        if (request.last > this.#orphan.acknowledged) this.bufferedEvents -= request.events;
        continue;
      }
      if (this.#next > 0 && request.first > this.#next) this.#lose(this.#next, request.first - 1);
      this.hold(this.frozen.length, thawRequest(request, this.producer));
      this.#next = request.last + 1;
    }
  }

  #lose(from: number, last: number): void {
    this.lost += last - from + 1;
    this.insertLost(this.frozen.length, { from, last, losses: [] }, 'spool_damaged');
  }

  /** Everything up to a number is acknowledged. */
  #record(through: number): void {
    if (through <= this.#recorded) return;
    this.#recorded = through;
    this.#operations = this.#operations.then(async () => {
      if (this.#isBroken || through < this.#recorded) return;
      try {
        await this.#forget(through);
      } catch (error) {
        this.#isBroken = true;
        this.#failed(error);
      }
    });
  }

  async #forget(through: number): Promise<void> {
    for (let oldest = this.#kept[0]; oldest !== undefined && oldest.last <= through; oldest = this.#kept[0]) {
      if (oldest.isDamaged) await this.#files.rename(oldest.path, `${oldest.path}.damaged`);
      else await this.#files.remove(oldest.path);
      this.#kept.shift();
    }
    const [oldest] = this.#kept;
    if (oldest === undefined || through < oldest.first) return;
    const { producerId } = this.#orphan;
    const frame = acknowledgedFrame(through, frameSeed({ producerId, segment: oldest.number }));
    const file = await this.#files.openForWriting(oldest.path);
    try {
      // What is left of a longer frame behind a shorter one would look like damage.
      if (oldest.isTorn) await this.#files.truncate(file, oldest.end);
      await this.#files.write(file, [frame], oldest.end);
      oldest.end += frame.length;
    } finally {
      await this.#files.close(file);
    }
  }
}

/** Renames a folder so that nobody takes it for a spool any more; resolves to its new path. */
export async function setAside(
  files: SpoolFiles,
  { path, producerId }: { path: string; producerId: Uint8Array },
): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    const aside = join(dirname(path), `${folderName(producerId)}.damaged${attempt > 1 ? `-${attempt}` : ''}`);
    try {
      await files.rename(path, aside);
      await files.syncFolder(dirname(path));
      return aside;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if ((code !== 'ENOTEMPTY' && code !== 'EEXIST') || attempt > 100) throw error;
    }
  }
}

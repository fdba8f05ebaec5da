/**
 * The write-ahead log: requests in, acknowledgments out after the fsync, sealed segments on.
 *
 * Invariants:
 * 1. `synced()` says 'durable' only after fdatasync returned for everything appended before.
 * 2. A failed write or sync is never tried again as if nothing had happened: what it may have left is
 *    cut off durably first, everything that waited is refused, and producers send it again.
 * 3. The youngest segment on disk is never removed, and every segment starts with the durable
 *    sequences, so that they survive with the log; see SealedSegments.
 * 4. A sealed segment ends with its seal before the next one exists: only the youngest can be torn.
 * 5. An empty segment is never handed on; a handed-on segment never changes.
 */
import { SluiceError } from '../errors.js';
import { isPlanted, reach } from '../fault-points.js';
import { innerLimits, type WalLimits } from '../limits.js';
import { type Uuid7Source, uuidTimeMs } from '../uuid7.js';
import { frameHeaderBytes } from './frame.js';
import { type CarriedProducer, type ProducerState, ProducerStates } from './producer-states.js';
import { finishSegment, recoverLog } from './recovery.js';
import { type RequestHead, requestHeadBytes } from './request-payload.js';
import { sealAgeMs } from './seal-age.js';
import { SealedSegments } from './sealed-segments.js';
import { newSegmentFileName, segmentFileName } from './segment-name.js';
import { SegmentWriter } from './segment-writer.js';
import { isAbsent, type LogStorage } from './storage.js';
import { type SyncOutcome, Tickets } from './tickets.js';
import { nodeTimers, type Timers } from './timers.js';

export interface SealedSegment {
  readonly id: string;
  readonly bytes: number;
  /** Found on disk at start, not written by this process: it may have been committed before. */
  readonly recovered: boolean;
  /** What recovery found broken in it, in words, and mended by cutting it off; a copy is kept aside. */
  readonly damage?: string;
}

/** Whether the log takes a request now. */
export type Admission =
  | { readonly kind: 'open' }
  | { readonly kind: 'disk_budget_spent'; readonly usedBytes: number; readonly retryDelayMs: number }
  | { readonly kind: 'too_many_producers'; readonly producers: number; readonly retryDelayMs: number }
  | { readonly kind: 'failing'; readonly problem: string; readonly retryDelayMs: number }
  | { readonly kind: 'stopped' };

export interface LogNotices {
  warn(fields: object, message: string): void;
  info(fields: object, message: string): void;
}

export interface WriteAheadLogOptions {
  readonly storage: LogStorage;
  readonly limits: WalLimits;
  /** Wall clock, Unix milliseconds. */
  readonly now: () => number;
  /** Milliseconds that never step, from any start. */
  readonly monotonic: () => number;
  readonly makeIds: (floor: string | undefined) => Uuid7Source;
  /** Called with each segment that is ready to be committed, oldest first. */
  readonly onSealed: (segment: SealedSegment) => void;
  /** Called with each producer, by its id as latin1 text, that is forgotten because it was silent. */
  readonly onForgotten?: (producerKey: string) => void;
  readonly log: LogNotices;
  /** Node's own, unless a test brings its clock. */
  readonly timers?: Timers;
}

interface Entry {
  readonly state: ProducerState;
  readonly head: RequestHead;
  readonly request: Buffer;
  readonly bytes: number;
  readonly released: ((request: Buffer) => void) | undefined;
}

const { groupBytes, healDelayMs, mostLeftovers, adoptionSealMs } = innerLimits.wal;
/** What a request's frame adds to its bytes. */
function frameBytes(head: RequestHead, request: Buffer): number {
  return frameHeaderBytes + requestHeadBytes(head) + request.length;
}

const openAdmission: Admission = { kind: 'open' };
const stoppedAdmission: Admission = { kind: 'stopped' };

export class WriteAheadLog {
  readonly #options: WriteAheadLogOptions;
  readonly #states: ProducerStates;
  readonly #sealed: SealedSegments;
  readonly #timers: Timers;
  #ids: Uuid7Source | undefined;
  #current: SegmentWriter | undefined;
  #queue: Entry[] = [];
  #queueBytes = 0;
  readonly #tickets = new Tickets();
  #running: Promise<void> | undefined;
  #sealTimer: { readonly dueMs: number; readonly cancel: () => void } | undefined;
  #sealDue = false;
  /** When the open segment's first request was on the disk, on the monotonic clock. */
  #firstAtMs: number | undefined;
  /** When it is to be sealed because somebody flushed. */
  #flushDueMs = Number.POSITIVE_INFINITY;
  /** When the segment before it was sealed. */
  #sealedAtMs = Number.NEGATIVE_INFINITY;
  #stopping = false;
  #problem = '';
  /** What to add to the monotonic clock to get the log's own, which goes on where it stood. */
  #logTimeBaseMs = 0;
  /** Whether what an earlier process left has been read. Until then nothing is known, and nothing let in. */
  #isRecovered = false;
  /** Failures since something was last written. */
  #failuresInARow = 0;
  /** The last segment that was handed on to be committed. */
  #previousId = '';
  /** Files that hold nothing; removed once a younger segment exists. */
  #leftovers: string[] = [];
  #wakeRoom: (() => void)[] = [];
  #wakeHealed: (() => void)[] = [];
  #wakeRecovered: (() => void)[] = [];
  #wakeOpened: (() => void)[] = [];
  #cancelAdoptionSeal: (() => void) | undefined;
  /** What another log knows, and no segment here starts with yet. */
  #carrying: readonly CarriedProducer[] = [];
  #wakeCarried: (() => void)[] = [];
  #carryDue = false;
  /** Counts failures. A call that began under another generation must not be acknowledged. */
  generation = 0;

  constructor(options: WriteAheadLogOptions) {
    this.#options = options;
    this.#states = new ProducerStates(options.limits, options.onForgotten);
    this.#timers = options.timers ?? nodeTimers;
    this.#sealed = new SealedSegments({
      storage: options.storage,
      log: options.log,
      timers: this.#timers,
    });
  }

  /** Bytes that wait for the disk. */
  get pendingBytes(): number {
    return this.#queueBytes;
  }

  /** Bytes of segments that are not committed and gone. */
  get sealedBytes(): number {
    return this.#sealed.bytes;
  }

  get usedBytes(): number {
    return this.#sealed.bytes + (this.#current?.bytes ?? 0) + this.#queueBytes;
  }

  /**
   * Reads what an earlier process left, hands its segments on, and opens a new one. What the disk does not
   * let it do now is tried again in the background, and calls are refused until then. Rejects only if the
   * log is not for this version.
   */
  async start(): Promise<void> {
    try {
      await this.#recover();
      await this.#openSegment();
    } catch (error) {
      if (error instanceof SluiceError) throw error;
      this.#runUntilIdle(this.#heal(error));
    }
  }

  async #recover(): Promise<void> {
    const { storage, monotonic, log, onSealed } = this.#options;
    const recovery = await recoverLog(storage, log);
    this.#sealed.holdFrom(recovery.carrierId);
    // Handed on before anything is written: on a full disk, committing these is what makes room.
    for (const segment of recovery.segments) {
      if (this.#sealed.add(segment.id, segment.bytes)) onSealed(segment);
    }
    if (recovery.unfinished !== undefined) {
      const segment = await finishSegment(storage, recovery.unfinished, log);
      this.#sealed.add(segment.id, segment.bytes);
      onSealed(segment);
    }
    this.#leftovers = [...recovery.leftovers];
    this.#ids = this.#options.makeIds(recovery.youngestId);
    this.#logTimeBaseMs = recovery.durable.logTimeMs - monotonic();
    this.#previousId = recovery.durable.previousId;
    if (!isPlanted('forget-durable-sequences')) this.#states.restore(recovery.durable.entries);
    this.#isRecovered = true;
    wakeAll(this.#wakeRecovered);
  }

  /** Resolves once what an earlier process left has been read. */
  async recovered(): Promise<void> {
    if (!this.#isRecovered) await new Promise<void>((resolve) => this.#wakeRecovered.push(resolve));
  }

  /** What is on this log's disk of each producer. */
  knownProducers(): CarriedProducer[] {
    const logTimeMs = this.#logTimeMs();
    return this.#states
      .durableEntries()
      .map(({ key, sequence, lastSeenMs }) => ({ key, sequence, silentMs: logTimeMs - lastSeenMs }));
  }

  /**
   * A producer goes on here behind `sequence`, which lies in another log, or in this one; 0: anywhere. That
   * stays there: this log has it only with the first request behind it. Nothing of the producer may be on its
   * way to the disk. Resolves once `append` may be called: when the open segment holds other numbers of it,
   * after that is sealed.
   */
  async adopt(producerKey: string, sequence: number): Promise<void> {
    // Recovery would take its own word over this one.
    await this.recovered();
    while (this.#states.isInOpenSegment(producerKey) && this.#states.durableOf(producerKey) !== sequence) {
      // One seal for all that wait, so that producers that move much cannot make segments of any size.
      this.#cancelAdoptionSeal ??= this.#timers.after(adoptionSealMs, () => {
        this.#cancelAdoptionSeal = undefined;
        this.#sealDue = true;
        this.#kick();
      });
      await new Promise<void>((resolve) => this.#wakeOpened.push(resolve));
    }
    this.#states.adopt(producerKey, { sequence, logTimeMs: this.#logTimeMs() });
  }

  /** Carries on what another log, which is to go, knows. Resolves once that is durable here. */
  carry(producers: readonly CarriedProducer[]): Promise<void> {
    this.#carrying = [...this.#carrying, ...producers];
    this.#carryDue = !this.#stopping;
    this.#kick();
    return new Promise((resolve) => this.#wakeCarried.push(resolve));
  }

  /** Resolves once the fate of everything appended so far is known for good: on the disk, or cut off durably. */
  async settled(): Promise<void> {
    await this.#tickets.wait();
    while (this.#problem !== '') await new Promise<void>((resolve) => this.#wakeHealed.push(resolve));
  }

  /** Forgets producers that have been silent for too long. */
  forgetIdle(): void {
    if (this.#isRecovered) this.#states.forgetIdle(this.#logTimeMs());
  }

  admission(bytes: number, producerKey: string): Admission {
    if (this.#stopping) return stoppedAdmission;
    const { diskBytes, retryDelayMs } = this.#options.limits;
    if (this.#problem !== '') return { kind: 'failing', problem: this.#problem, retryDelayMs };
    if (this.usedBytes + bytes > diskBytes) {
      return { kind: 'disk_budget_spent', usedBytes: this.usedBytes, retryDelayMs };
    }
    if (!this.#states.hasRoomFor(producerKey)) {
      this.#states.forgetIdle(this.#logTimeMs());
      if (!this.#states.hasRoomFor(producerKey)) {
        return { kind: 'too_many_producers', producers: this.#states.count, retryDelayMs };
      }
    }
    return openAdmission;
  }

  /** Last sequence that the log has of a producer, by its id as latin1 text; 0 if it does not know it. */
  appendedOf(producerKey: string): number {
    return this.#states.appendedOf(producerKey);
  }

  durableOf(producerKey: string): number {
    return this.#states.durableOf(producerKey);
  }

  /**
   * Takes one request, whose sequences the caller has judged and which `admission` has let in.
   * `request` must stay unchanged until the log calls `released` with it, once, synced or not;
   * `producer.encoded` is kept and must not be a view into a larger buffer. Call `synced()` to learn when the
   * request is durable.
   */
  append(
    producer: { key: string; encoded: Buffer },
    head: RequestHead,
    request: Buffer,
    released?: (request: Buffer) => void,
  ): void {
    reach('append.before');
    const state = this.#states.use(producer.key, producer.encoded, {
      firstSequence: head.firstSequence,
      logTimeMs: this.#logTimeMs(),
    });
    state.appended = head.lastSequence;
    const bytes = frameBytes(head, request);
    this.#queue.push({ state, head, request, bytes, released });
    this.#queueBytes += bytes;
    this.#tickets.add();
    reach('append.after');
    this.#kick();
  }

  /** Resolves once the fate of everything appended so far is known. */
  synced(): Promise<SyncOutcome> {
    return this.#tickets.wait();
  }

  /** Resolves when fewer than `bytes` wait for the disk. */
  async roomBelow(bytes: number): Promise<void> {
    while (this.#queueBytes >= bytes) await new Promise<void>((resolve) => this.#wakeRoom.push(resolve));
  }

  /** Seals the open segment now, if it holds anything. Resolves once it has been handed on. */
  async sealNow(): Promise<void> {
    this.#sealDue = true;
    this.#kick();
    await this.#running;
  }

  /**
   * Somebody waits for what a producer has brought, all of it synced: the open segment is sealed soon, if it
   * holds any of that. Many who flush share a seal: there is one every `flushSealMs` at most.
   */
  sealFor(producerKey: string): void {
    if (this.#stopping || this.#current === undefined || !this.#states.isInOpenSegment(producerKey)) return;
    this.#flushDueMs = this.#sealedAtMs + this.#options.limits.flushSealMs;
    this.#watchAge(this.#current);
    if (this.#sealDue) this.#kick();
  }

  /**
   * Removes a segment that ClickHouse has committed, at once or when it may go. Never rejects: what the
   * disk refuses is tried again.
   */
  async release(id: string): Promise<void> {
    await this.#sealed.settle(id, 'remove');
    if (this.#carrying.length === 0 || this.#stopping) return;
    // What had to wait for the segment that is gone may do now.
    this.#carryDue = true;
    this.#kick();
  }

  /** Moves a segment that cannot be read in full out of the way, after what could be read was stored. */
  setAside(id: string): Promise<void> {
    return this.#sealed.settle(id, 'set_aside');
  }

  /** Takes nothing more, syncs what waits, and seals. The files stay for the next start. */
  async stop(): Promise<void> {
    if (this.#stopping) {
      await this.#running;
      return;
    }
    this.#stopping = true;
    this.#cancelSealTimer();
    this.#cancelAdoptionSeal?.();
    this.#carryDue = false;
    this.#sealDue = true;
    this.#kick();
    await this.#running;
  }

  /** Closes the open segment's file. Nothing may be appended after `stop`. */
  async close(): Promise<void> {
    this.#sealed.stop();
    await this.#running;
    await this.#current?.close();
    this.#current = undefined;
  }

  #kick(): void {
    if (this.#running === undefined) this.#runUntilIdle(this.#run());
  }

  #runUntilIdle(work: Promise<void>): void {
    this.#running = work.finally(() => {
      this.#running = undefined;
      // Something may have come in between the loop's last look and here.
      if (this.#hasWork()) this.#kick();
    });
  }

  #hasWork(): boolean {
    return (
      this.#queue.length > 0 || this.#carryDue || (this.#sealDue && (this.#current?.requestCount ?? 0) > 0)
    );
  }

  async #run(): Promise<void> {
    // Let the rest of this turn's messages join the group.
    await Promise.resolve();
    while (this.#hasWork()) {
      try {
        if (this.#queue.length > 0) await this.#commitGroup();
        if (this.#isFull() || this.#sealDue) await this.#rotate();
        if (this.#carryDue) await this.#openForCarried();
      } catch (error) {
        await this.#heal(error);
      }
    }
    this.#sealDue = false;
  }

  async #commitGroup(): Promise<void> {
    const segment = await this.#writableSegment();
    const { segmentBytes, segmentEvents, segmentLedgerRows } = this.#options.limits;
    let taken = 0;
    let takenBytes = 0;
    while (taken < this.#queue.length && takenBytes < groupBytes) {
      const { state, head, request, bytes } = this.#queue[taken] as Entry;
      // A segment takes at least one request, however large.
      const overflows =
        segment.bytes + segment.expansionBytes + bytes + head.expansionBytes > segmentBytes ||
        segment.eventCount + head.eventCount > segmentEvents ||
        segment.ledgerRows + head.ledgerRows > segmentLedgerRows;
      if (overflows && segment.requestCount > 0) {
        this.#sealDue = true;
        break;
      }
      if (state.segmentId !== segment.id) {
        state.indexInSegment = segment.addProducer(
          Buffer.from(state.key, 'latin1'),
          state.encoded,
          state.atOpening,
        );
        state.segmentId = segment.id;
      }
      segment.addRequest(state.indexInSegment, head, request);
      takenBytes += bytes;
      taken++;
    }
    if (taken === 0) return;
    const syncing = segment.sync();
    if (!isPlanted('acknowledge-before-sync')) await syncing;
    this.#failuresInARow = 0;
    for (let index = 0; index < taken; index++) {
      const { state, head } = this.#queue[index] as Entry;
      state.durable = head.lastSequence;
      state.resume = undefined;
    }
    const written = this.#queue.splice(0, taken);
    this.#queueBytes -= takenBytes;
    this.#tickets.settle(taken, 'durable');
    this.#tellRoom();
    await syncing;
    for (const { request, released } of written) released?.(request);
    this.#watchAge(segment);
  }

  /** Has the open segment, which is not empty, sealed when it is due. What it holds decides when that is. */
  #watchAge(segment: SegmentWriter): void {
    const nowMs = this.#options.monotonic();
    this.#firstAtMs ??= nowMs;
    const dueMs = Math.min(this.#firstAtMs + sealAgeMs(segment, this.#options.limits), this.#flushDueMs);
    if (dueMs <= nowMs) {
      this.#sealDue = true;
      return;
    }
    if (this.#sealTimer?.dueMs === dueMs) return;
    this.#cancelSealTimer();
    const cancel = this.#timers.after(dueMs - nowMs, () => {
      this.#sealTimer = undefined;
      this.#sealDue = true;
      this.#kick();
    });
    this.#sealTimer = { dueMs, cancel };
  }

  #cancelSealTimer(): void {
    this.#sealTimer?.cancel();
    this.#sealTimer = undefined;
  }

  /** The open segment; a new one if it is empty and was opened on another day: its id dates the batch. */
  async #writableSegment(): Promise<SegmentWriter> {
    const current = this.#current;
    if (current !== undefined) {
      const sameDay = utcDay(uuidTimeMs(current.id)) === utcDay(this.#options.now());
      if (current.requestCount > 0 || sameDay || uuidTimeMs(current.id) > this.#options.now()) return current;
      await this.#replaceEmpty(current);
    } else {
      await this.#openSegment();
    }
    return this.#current as unknown as SegmentWriter;
  }

  async #replaceEmpty(current: SegmentWriter): Promise<void> {
    await this.#openSegment();
    await this.#tolerate(current.close(), 'closing an empty segment failed');
    this.#leftovers.push(segmentFileName(current.id));
    await this.#removeLeftovers();
  }

  /** A new segment, which starts with what is carried. */
  async #openForCarried(): Promise<void> {
    const current = this.#current;
    if (current === undefined) await this.#openSegment();
    else if (current.requestCount > 0) await this.#rotate();
    else await this.#replaceEmpty(current);
    this.#carryDue = false;
  }

  #isFull(): boolean {
    const { segmentBytes, segmentEvents } = this.#options.limits;
    const segment = this.#current;
    return (
      segment !== undefined &&
      (segment.bytes + segment.expansionBytes >= segmentBytes || segment.eventCount >= segmentEvents)
    );
  }

  async #rotate(): Promise<void> {
    const segment = this.#current;
    if (segment === undefined || segment.requestCount === 0) return;
    reach('seal.before');
    await segment.seal();
    this.#failuresInARow = 0;
    reach('seal.after');
    // From here on the file is only read: whatever fails below, nothing may be appended behind its seal.
    this.#current = undefined;
    this.#sealDue = false;
    this.#cancelSealTimer();
    this.#firstAtMs = undefined;
    this.#flushDueMs = Number.POSITIVE_INFINITY;
    this.#sealedAtMs = this.#options.monotonic();
    this.#states.handedOn();
    this.#previousId = segment.id;
    this.#sealed.holdFrom(segment.id);
    this.#sealed.add(segment.id, segment.bytes);
    this.#options.onSealed({ id: segment.id, bytes: segment.bytes, recovered: false });
    await this.#tolerate(segment.close(), 'closing a sealed segment failed');
    await this.#openSegment();
  }

  async #openSegment(): Promise<void> {
    const { storage, now } = this.#options;
    const logTimeMs = this.#logTimeMs();
    this.#states.forgetIdle(logTimeMs);
    const isPreviousGone = !this.#sealed.has(this.#previousId);
    const carried = this.#carrying;
    const later = carried.filter((producer) => !this.#states.carry(producer, { logTimeMs, isPreviousGone }));
    const id = (this.#ids as Uuid7Source).next();
    try {
      this.#current = await SegmentWriter.create(storage, id, now(), {
        logTimeMs,
        previousId: this.#previousId,
        entries: this.#states.durableEntries(),
      });
    } catch (error) {
      // Gone already, as far as the file system let it. Every try of a long failure has an id of its own.
      if (this.#leftovers.length < mostLeftovers) {
        this.#leftovers.push(segmentFileName(id), newSegmentFileName(id));
      }
      throw error;
    }
    this.#states.opened();
    this.#carrying = [...later, ...this.#carrying.slice(carried.length)];
    if (this.#carrying.length === 0) wakeAll(this.#wakeCarried);
    wakeAll(this.#wakeOpened);
    await this.#sealed.opened();
    await this.#removeLeftovers();
  }

  async #removeLeftovers(): Promise<void> {
    const { storage, log } = this.#options;
    for (const name of this.#leftovers.splice(0)) {
      try {
        await storage.remove(name);
      } catch (err) {
        if (isAbsent(err)) continue;
        log.warn({ err, file: name }, 'a file that holds nothing cannot be removed yet');
        this.#leftovers.push(name);
      }
    }
  }

  /** Refuses all that waits, cuts the failed write off, and goes on once the disk lets it. */
  async #heal(error: unknown): Promise<void> {
    this.#problem = error instanceof Error ? error.message : String(error);
    this.generation++;
    const refused = this.#queue;
    this.#queue = [];
    this.#queueBytes = 0;
    // The write that failed is over, and will not be tried again with the same bytes.
    for (const { request, released } of refused) released?.(request);
    this.#states.rollBack();
    this.#tickets.settleAll('failed');
    this.#tellRoom();
    this.#options.log.warn(
      { err: error },
      'the write-ahead log cannot be written; calls are refused with UNAVAILABLE until it can',
    );
    for (;;) {
      // A log that healed and failed again at once must not spin: each failure in a row waits longer.
      if (this.#failuresInARow++ > 0) {
        const delayMs = healDelayMs.first * 2 ** (this.#failuresInARow - 2);
        await this.#timers.sleep(Math.min(delayMs, healDelayMs.most));
      }
      try {
        if (!this.#isRecovered) await this.#recover();
        if (this.#current === undefined) await this.#openSegment();
        else await this.#current.rollBack();
        break;
      } catch (again) {
        if (this.#stopping) {
          this.#sealDue = false;
          this.#options.log.warn({ err: again }, 'stopping although the write-ahead log cannot be written');
          return;
        }
        this.#problem = again instanceof Error ? again.message : String(again);
      }
    }
    // A seal that fails again and again must not hold up the end; the next start adds it.
    if (this.#stopping && this.#failuresInARow > 3) this.#sealDue = false;
    this.#problem = '';
    wakeAll(this.#wakeHealed);
    this.#options.log.info({}, 'the write-ahead log can be written again');
  }

  #tellRoom(): void {
    wakeAll(this.#wakeRoom);
  }

  /** For what may fail without harm: the next start tidies up. */
  async #tolerate(work: Promise<void>, message: string): Promise<void> {
    await work.catch((err: unknown) => this.#options.log.warn({ err }, message));
  }

  #logTimeMs(): number {
    return this.#logTimeBaseMs + this.#options.monotonic();
  }
}

function wakeAll(waiting: (() => void)[]): void {
  for (const resolve of waiting.splice(0)) resolve();
}

function utcDay(unixMs: number): number {
  return Math.floor(unixMs / 86_400_000);
}

/**
 * The files of sealed segments, until each is committed and gone.
 *
 * Invariants:
 * 1. While no segment is open, the youngest with sound first frames stays, and so do those behind it: they
 *    carry the durable sequences.
 * 2. A file stays until the fate of the one before it is known, and carried out if that is moved aside:
 *    its first frames tell what the other held, should that be damaged. So an unsettled segment holds
 *    back one file behind it, and no more.
 * 3. A removal that fails is tried again, and its bytes count until it succeeds.
 */

import { reach } from '../fault-points.js';
import { innerLimits } from '../limits.js';
import type { LogNotices } from './log.js';
import { segmentFileName } from './segment-name.js';
import { damagedFolder, isAbsent, type LogStorage } from './storage.js';
import type { Timers } from './timers.js';

export type Fate = 'remove' | 'set_aside';

interface Sealed {
  readonly id: string;
  readonly bytes: number;
  older: Sealed | undefined;
  younger: Sealed | undefined;
  fate: Fate | undefined;
  isBusy: boolean;
  isGone: boolean;
}

const { removalDelayMs } = innerLimits.wal;

export class SealedSegments {
  readonly #storage: LogStorage;
  readonly #log: LogNotices;
  readonly #timers: Timers;
  readonly #byId = new Map<string, Sealed>();
  /** Those whose removal failed, or that waited for a younger one. */
  readonly #stuck = new Set<Sealed>();
  #youngest: Sealed | undefined;
  /** While no segment is open: the first that has to stay. */
  #heldFromId: string | undefined = '';
  #bytes = 0;
  #cancelRetry: (() => void) | undefined;
  #delayMs: number = removalDelayMs.first;

  constructor(options: { storage: LogStorage; log: LogNotices; timers: Timers }) {
    this.#storage = options.storage;
    this.#log = options.log;
    this.#timers = options.timers;
  }

  /** Bytes on disk of all that are not yet removed. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether a segment's file is still there. */
  has(id: string): boolean {
    return this.#byId.has(id);
  }

  /** Adds the youngest. False if it is known already. */
  add(id: string, bytes: number): boolean {
    if (this.#byId.has(id)) return false;
    const sealed: Sealed = {
      id,
      bytes,
      older: this.#youngest,
      younger: undefined,
      fate: undefined,
      isBusy: false,
      isGone: false,
    };
    if (this.#youngest !== undefined) this.#youngest.younger = sealed;
    this.#youngest = sealed;
    this.#byId.set(id, sealed);
    this.#bytes += bytes;
    return true;
  }

  /** No segment is open: from this one on they stay. */
  holdFrom(id: string): void {
    this.#heldFromId = id;
  }

  /** A segment is open on the disk, younger than all of these. */
  async opened(): Promise<void> {
    this.#heldFromId = undefined;
    await this.#retry();
  }

  /** What is to become of a segment's file. Resolves when that is done, or has to wait; never rejects. */
  async settle(id: string, fate: Fate): Promise<void> {
    const sealed = this.#byId.get(id);
    if (sealed === undefined || sealed.fate !== undefined) return;
    sealed.fate = fate;
    const { younger } = sealed;
    await this.#carryOut(sealed);
    if (younger !== undefined) await this.#carryOut(younger);
  }

  /** Forgets the timer of a try that is due. */
  stop(): void {
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
  }

  async #carryOut(sealed: Sealed): Promise<void> {
    const { fate, older } = sealed;
    if (fate === undefined || sealed.isGone || sealed.isBusy) return;
    if (older !== undefined && older.fate !== 'remove') return;
    if (this.#heldFromId !== undefined && sealed.id >= this.#heldFromId) {
      this.#stuck.add(sealed);
      return;
    }
    sealed.isBusy = true;
    try {
      const name = segmentFileName(sealed.id);
      if (fate === 'remove') {
        reach('remove.before');
        await this.#storage.remove(name);
        reach('remove.after');
      } else await this.#storage.setAside(name, damagedFolder);
    } catch (err) {
      if (!isAbsent(err)) {
        this.#log.warn({ err, segment: sealed.id }, 'a settled segment cannot be removed yet; trying again');
        this.#stuck.add(sealed);
        this.#planRetry();
        return;
      }
    } finally {
      sealed.isBusy = false;
    }
    sealed.isGone = true;
    this.#stuck.delete(sealed);
    this.#byId.delete(sealed.id);
    this.#bytes -= sealed.bytes;
    const { younger } = sealed;
    sealed.older = undefined;
    if (younger === undefined) this.#youngest = undefined;
    else {
      younger.older = undefined;
      await this.#carryOut(younger);
    }
  }

  #planRetry(): void {
    if (this.#cancelRetry !== undefined) return;
    this.#cancelRetry = this.#timers.after(this.#delayMs, () => {
      this.#cancelRetry = undefined;
      void this.#retry();
    });
    this.#delayMs = Math.min(this.#delayMs * 2, removalDelayMs.most);
  }

  async #retry(): Promise<void> {
    const stuck = [...this.#stuck];
    this.#stuck.clear();
    for (const sealed of stuck) await this.#carryOut(sealed);
    if (this.#stuck.size === 0) this.#delayMs = removalDelayMs.first;
  }
}

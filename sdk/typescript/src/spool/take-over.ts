import { join } from 'node:path';
import type { Clock, Timer } from '../clock.js';
import type { DeliverySettings } from '../delivery.js';
import type { Diagnostics } from '../diagnostics.js';
import { internalLimits } from '../limits.js';
import { type Exiting, forgetExit, watchExit } from '../process-exit.js';
import type { Transport } from '../transport/transport.js';
import { claimFolder, listFolders, type SpoolFolder } from './claim.js';
import type { SpoolFiles } from './files.js';
import { folderName } from './format.js';
import type { TakingOver } from './logger-spool.js';
import { inspectOrphan } from './orphan.js';
import { setAside } from './orphan-buffer.js';
import { thisProcess } from './owner.js';
import { PacedTransport } from './paced-transport.js';
import { OrphanSender } from './sender.js';

interface Claimed {
  readonly folder: SpoolFolder;
  readonly path: string;
  sender: OrphanSender | undefined;
}

/**
 * Delivers, beside a logger and in no hurry, what processes that are gone left in its spool directory.
 *
 * Invariants:
 * 1. One folder at a time, the oldest producer first, each only after it was claimed.
 * 2. It keeps no process alive: one that has nothing else to do ends, and gives back what it claimed.
 * 3. It never gives up while the process lives, and a folder that it cannot read costs a report, not a loop.
 */
export class TakeOver implements TakingOver, Exiting {
  readonly #parts: {
    readonly directory: string;
    readonly files: SpoolFiles;
    readonly clock: Clock;
    readonly diagnostics: Diagnostics;
    readonly settings: DeliverySettings;
    readonly transport: Transport;
    readonly random: () => number;
    readonly isEnding: () => boolean;
  };
  #timer: Timer | undefined;
  #claimed: Claimed | undefined;
  #round: Promise<void> = Promise.resolve();
  #stopping: Promise<void> | undefined;
  #isStopped = false;
  /** Folders that could not be delivered, and are not tried again by this process. */
  readonly #broken = new Set<string>();

  constructor(parts: {
    directory: string;
    files: SpoolFiles;
    clock: Clock;
    diagnostics: Diagnostics;
    settings: DeliverySettings;
    /** Its own: a connection of the logger's is dropped when it hangs. */
    transport: Transport;
    random?: () => number;
    isEnding?: () => boolean;
  }) {
    const { random = Math.random, isEnding = () => false } = parts;
    const transport = new PacedTransport(parts.transport, parts.clock, internalLimits.takeOverPauseMs);
    this.#parts = { ...parts, transport, random, isEnding };
  }

  /** Looks for the first time after a moment, and then again and again. */
  start(): void {
    this.#lookIn(internalLimits.takeOverFirstMs);
  }

  /** Something is claimed, which the end of the process gives back. */
  get pending(): number {
    return this.#claimed === undefined ? 0 : 1;
  }

  finish(): Promise<void> {
    return this.stop();
  }

  abandon(): void {
    this.stopSync();
  }

  /** Gives back what is claimed. Resolves when that is done. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  stopSync(): void {
    this.#isStopped = true;
    const claimed = this.#claimed;
    if (claimed === undefined) return;
    this.#claimed = undefined;
    claimed.sender?.stopSync();
    const { files, directory } = this.#parts;
    try {
      files.renameSync(claimed.path, join(directory, folderName(claimed.folder.producerId)));
    } catch {
      // Its owner is about to be gone, which frees it too.
    }
  }

  async #stop(): Promise<void> {
    this.#isStopped = true;
    if (this.#timer !== undefined) this.#parts.clock.clearTimer(this.#timer);
    const claimed = this.#claimed;
    await claimed?.sender?.stop();
    // A round that is between two steps finds that it is stopped, and gives back what it took.
    if (claimed?.sender === undefined) await this.#round;
    await this.#giveBack(claimed);
    forgetExit(this);
    this.#parts.transport.disconnect();
  }

  #lookIn(delayMs: number): void {
    if (this.#isStopped) return;
    this.#timer = this.#parts.clock.setTimer(
      () => {
        this.#timer = undefined;
        this.#round = this.#look().catch((error: unknown) => this.#report('cannot be read', error));
        void this.#round.then(() => this.#lookIn(internalLimits.takeOverEveryMs));
      },
      delayMs * (0.5 + this.#parts.random()),
    );
  }

  async #look(): Promise<void> {
    const { files, directory } = this.#parts;
    const me = thisProcess();
    let folders: SpoolFolder[];
    try {
      folders = await listFolders(files, directory, me);
    } catch (error) {
      // Nobody has written anything yet.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      throw error;
    }
    for (const folder of folders) {
      if (this.#isStopped) return;
      if (folder.state !== 'dead' && folder.state !== 'released') continue;
      if (this.#broken.has(folder.name)) continue;
      let path: string | undefined;
      try {
        path = await claimFolder(files, directory, folder, me);
      } catch (error) {
        // Another user's, perhaps; the next one may be ours.
        this.#broken.add(folder.name);
        this.#report(`holds ${folder.name}, which cannot be claimed`, error);
      }
      if (path !== undefined) await this.#deliver({ folder, path, sender: undefined });
    }
  }

  async #deliver(claimed: Claimed): Promise<void> {
    const { files } = this.#parts;
    const { folder, path } = claimed;
    this.#claimed = claimed;
    watchExit(this);
    try {
      const orphan = await inspectOrphan(files, path, folder.producerId);
      const { producer } = orphan;
      if (orphan.damages.length > 0) this.#report(`holds damage in ${path}`, orphan.damages.join('; '));
      if (producer === undefined && orphan.damages.length > 0) {
        await setAside(files, orphan);
      } else {
        const sender = new OrphanSender({
          ...this.#parts,
          orphan,
          producer: producer ?? Buffer.alloc(0),
          failed: (error) => this.#report(`cannot be written or read in ${path}`, error),
        });
        if (this.#isStopped) return;
        claimed.sender = sender;
        if (orphan.last > orphan.acknowledged) await sender.deliver();
        if (this.#isStopped) return;
        await sender.buffer.finish();
        await sender.stop();
      }
      this.#claimed = undefined;
    } catch (error) {
      this.#broken.add(folderName(folder.producerId));
      this.#report(`holds ${path}, which cannot be delivered`, error);
    } finally {
      if (this.#isStopped) claimed.sender = undefined;
      else await this.#giveBack(this.#claimed);
      forgetExit(this);
    }
  }

  async #giveBack(claimed: Claimed | undefined): Promise<void> {
    if (claimed === undefined || this.#claimed !== claimed) return;
    this.#claimed = undefined;
    const { files, directory } = this.#parts;
    try {
      await files.rename(claimed.path, join(directory, folderName(claimed.folder.producerId)));
    } catch {
      // Then it is free when this process is gone.
    }
  }

  #report(what: string, error: unknown): void {
    const { directory, diagnostics } = this.#parts;
    const text = error instanceof Error ? error.message : String(error);
    diagnostics.report('spool', () => `the spool directory ${directory} (spoolDir) ${what}: ${text}`);
  }
}

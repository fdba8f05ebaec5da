/**
 * One file as a page cache and a disk see it: what the process reads back, and what of it a power loss
 * may leave.
 *
 * 1. The disk writes sectors of 512 bytes, each whole, in any order and at any time: after a power loss a
 *    sector is as it was at the last sync, or after any write since. A sector that was never written
 *    holds zeros, or what lay there before.
 * 2. The size is written by itself: it may run ahead of the data, or lag behind.
 * 3. A sync that fails leaves the pages clean, as Linux does: a later sync does not write them, although
 *    reads still show them. Only a new write to the page does.
 */
const sectorBytes = 512;
const sectorsPerPage = 8;

interface Sector {
  /** As it is on the disk for sure; undefined: it was never written. */
  durable: Buffer | undefined;
  /** What the cache held since, oldest first; any of it may be on the disk. */
  readonly since: (Buffer | undefined)[];
}

export class PageCacheFile {
  #cache: Buffer;
  #durableBytes: number;
  #sizesSince: number[] = [];
  readonly #sectors = new Map<number, Sector>();
  readonly #dirtyPages = new Set<number>();

  /** A file that is on the disk, or a new one. */
  constructor(bytes: Buffer = Buffer.alloc(0)) {
    this.#cache = Buffer.from(bytes);
    this.#durableBytes = bytes.length;
    for (let at = 0; at * sectorBytes < bytes.length; at++) {
      this.#sectors.set(at, { durable: this.#sectorOf(at), since: [] });
    }
  }

  get size(): number {
    return this.#cache.length;
  }

  /** What reads see. */
  read(): Buffer {
    return Buffer.from(this.#cache);
  }

  write(bytes: Buffer, position: number): void {
    const end = position + bytes.length;
    if (end > this.#cache.length) {
      const larger = Buffer.alloc(end);
      this.#cache.copy(larger);
      this.#cache = larger;
      this.#sizesSince.push(end);
    }
    bytes.copy(this.#cache, position);
    this.#touch(position, end);
  }

  truncate(bytes: number): void {
    if (bytes === this.#cache.length) return;
    const shorter = Buffer.alloc(bytes);
    this.#cache.copy(shorter);
    this.#cache = shorter;
    this.#sizesSince.push(bytes);
    for (const [at, sector] of this.#sectors) {
      if (at * sectorBytes >= bytes) sector.since.push(undefined);
    }
    if (bytes % sectorBytes > 0) this.#touch(bytes, bytes + 1);
  }

  sync(): void {
    for (const page of this.#dirtyPages) {
      for (let at = page * sectorsPerPage; at < (page + 1) * sectorsPerPage; at++) {
        if (at * sectorBytes < this.#cache.length) {
          this.#sectors.set(at, { durable: this.#sectorOf(at), since: [] });
        }
      }
    }
    for (const at of [...this.#sectors.keys()]) {
      if (at * sectorBytes >= this.#cache.length) this.#sectors.delete(at);
    }
    this.#durableBytes = this.#cache.length;
    this.#sizesSince = [];
    this.#dirtyPages.clear();
  }

  failSync(): void {
    this.#dirtyPages.clear();
  }

  /** One of the contents that a power loss may leave now. */
  afterPowerLoss(draw: () => number): Buffer {
    // Extremes are as likely as mixtures: nothing since the last sync, or all of it.
    const bias = draw();
    const pick = <Item>(durable: Item, since: readonly Item[]): Item => {
      if (since.length === 0 || bias < 0.15) return durable;
      if (bias > 0.85) return since.at(-1) as Item;
      const index = Math.floor(draw() * (since.length + 1));
      return index === 0 ? durable : (since[index - 1] as Item);
    };
    const isGarbage = draw() < 0.3;
    const bytes = Buffer.alloc(pick(this.#durableBytes, this.#sizesSince));
    for (let at = 0; at * sectorBytes < bytes.length; at++) {
      const sector = this.#sectors.get(at);
      const content = sector === undefined ? undefined : pick(sector.durable, sector.since);
      const start = at * sectorBytes;
      if (content !== undefined) content.copy(bytes, start);
      else if (isGarbage) {
        const end = Math.min(start + sectorBytes, bytes.length);
        for (let index = start; index < end; index++) bytes[index] = Math.floor(draw() * 256);
      }
    }
    return bytes;
  }

  #touch(start: number, end: number): void {
    for (let at = Math.floor(start / sectorBytes); at * sectorBytes < end; at++) {
      const sector = this.#sectors.get(at) ?? { durable: undefined, since: [] };
      sector.since.push(this.#sectorOf(at));
      this.#sectors.set(at, sector);
      this.#dirtyPages.add(Math.floor(at / sectorsPerPage));
    }
  }

  #sectorOf(at: number): Buffer {
    return Buffer.from(this.#cache.subarray(at * sectorBytes, (at + 1) * sectorBytes));
  }
}

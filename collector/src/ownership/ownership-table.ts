/**
 * Which worker may append which producer's requests: the primary's table, as a state machine without I/O.
 *
 * What a log has of a producer is its durable sequence there; the truth is the largest over all logs. The
 * table knows it for every producer at rest, and knows who could be changing it for every other one.
 *
 * Invariants:
 * 1. A producer is held by at most one life of one worker. Only the holder may append.
 * 2. It is granted only at rest, with the largest sequence that any log has of it: so the new holder judges
 *    duplicates and holes as if it had always been there.
 * 3. It comes to rest only by its holder's word, after all that the holder appended is on the disk or durably
 *    cut off, or by what a restarted worker has read back from the dead one's log. Until then it is lost, and
 *    nobody gets it.
 * 4. Nothing is granted before every log has been read: any of them may have the largest sequence.
 * 5. It has no more than `producers` rows. A row goes when the log that it last lay in has forgotten the
 *    producer for its silence.
 */

/** Why a claim is not granted now. */
export type RefusalReason =
  /** Another worker is about to hand it over, or the one that held it is being restarted. */
  | 'moving'
  /** Not every log has been read. */
  | 'unread'
  /** As many producers are known as `wal.producers` allows. */
  | 'full';

/** What the table asks the primary to do: each goes to one worker. */
export type Instruction =
  | { readonly kind: 'grant'; readonly worker: number; readonly key: string; readonly sequence: number }
  | { readonly kind: 'refuse'; readonly worker: number; readonly key: string; readonly reason: RefusalReason }
  /** Stop appending, let what was appended settle, and answer with `released`. */
  | { readonly kind: 'release'; readonly worker: number; readonly key: string }
  /** Forget producers that have been silent for too long: the table is full. */
  | { readonly kind: 'forget_idle'; readonly worker: number };

interface Row {
  state: 'resting' | 'held' | 'releasing' | 'lost';
  /** The worker that holds it, or whose log it last lay in. */
  worker: number;
  /** The truth at rest; what the holder was granted otherwise. 0: anywhere. */
  sequence: number;
  /** Who gets it once it is released; −1: nobody waits. */
  claimant: number;
}

export interface KnownProducer {
  readonly key: string;
  readonly sequence: number;
}

export class OwnershipTable {
  readonly #rows = new Map<string, Row>();
  readonly #most: number;
  /** By worker: whether what its log holds is known. */
  readonly #isRead: boolean[];
  readonly #instruct: (instruction: Instruction) => void;

  constructor(options: {
    workers: number;
    producers: number;
    instruct: (instruction: Instruction) => void;
  }) {
    this.#most = options.producers;
    this.#isRead = Array.from({ length: options.workers }, () => false);
    this.#instruct = options.instruct;
  }

  get size(): number {
    return this.#rows.size;
  }

  /** Whether every log has been read at least once. */
  get isComplete(): boolean {
    return this.#isRead.every(Boolean);
  }

  /** What a worker has read in its log, or in one that it drains. May come in parts, before `read`. */
  found(worker: number, producers: Iterable<KnownProducer>): void {
    for (const { key, sequence } of producers) {
      const row = this.#rows.get(key);
      if (row === undefined) {
        this.#rows.set(key, { state: 'resting', worker, sequence, claimant: -1 });
      } else if (row.state === 'resting' || (row.state === 'lost' && row.worker === worker)) {
        // In a log that it has left, a producer has less.
        if (sequence <= row.sequence) continue;
        row.sequence = sequence;
        row.worker = worker;
      }
    }
  }

  /** A worker's log has been read, and all of it told. */
  read(worker: number): void {
    this.#isRead[worker] = true;
    for (const row of this.#rows.values()) {
      if (row.state === 'lost' && row.worker === worker) row.state = 'resting';
    }
  }

  /** A life of a worker is over; nobody appends to its log until the next one has said `read`. */
  ended(worker: number): void {
    for (const [key, row] of this.#rows) {
      if (row.claimant === worker) row.claimant = -1;
      if (row.worker !== worker || row.state === 'resting') continue;
      row.state = 'lost';
      if (row.claimant >= 0) this.#refuse(row.claimant, key, 'moving');
      row.claimant = -1;
    }
  }

  /** A worker has a call of a producer that it does not hold. */
  claim(worker: number, key: string): void {
    if (!this.isComplete) {
      this.#refuse(worker, key, 'unread');
      return;
    }
    const row = this.#rows.get(key);
    if (row === undefined) {
      this.#claimNew(worker, key);
      return;
    }
    switch (row.state) {
      case 'resting':
        this.#grant(worker, key, row);
        return;
      case 'held':
        // From the holder itself too: it has lost sight of it, and says first what it has.
        row.state = 'releasing';
        row.claimant = worker;
        this.#instruct({ kind: 'release', worker: row.worker, key });
        return;
      case 'releasing':
        if (row.claimant < 0) row.claimant = worker;
        else if (row.claimant !== worker) this.#refuse(worker, key, 'moving');
        return;
      case 'lost':
        this.#refuse(worker, key, 'moving');
        return;
    }
  }

  #claimNew(worker: number, key: string): void {
    if (this.#rows.size >= this.#most) {
      this.#refuse(worker, key, 'full');
      for (let each = 0; each < this.#isRead.length; each++) {
        this.#instruct({ kind: 'forget_idle', worker: each });
      }
      return;
    }
    const row: Row = { state: 'resting', worker, sequence: 0, claimant: -1 };
    this.#rows.set(key, row);
    this.#grant(worker, key, row);
  }

  /** The holder appends nothing more; `sequence` is what is durable of the producer, wherever it lies. */
  released(worker: number, key: string, sequence: number): void {
    const row = this.#rows.get(key);
    if (row === undefined || row.state !== 'releasing' || row.worker !== worker) return;
    row.state = 'resting';
    row.sequence = sequence;
    const { claimant } = row;
    row.claimant = -1;
    if (claimant >= 0) this.#grant(claimant, key, row);
  }

  /** A worker's log has forgotten a producer that was silent for too long. */
  forgotten(worker: number, key: string): void {
    const row = this.#rows.get(key);
    // A log that it has left forgets it earlier.
    if (row === undefined || row.worker !== worker) return;
    this.#rows.delete(key);
    if (row.claimant >= 0) this.claim(row.claimant, key);
  }

  #grant(worker: number, key: string, row: Row): void {
    row.state = 'held';
    row.worker = worker;
    this.#instruct({ kind: 'grant', worker, key, sequence: row.sequence });
  }

  #refuse(worker: number, key: string, reason: RefusalReason): void {
    this.#instruct({ kind: 'refuse', worker, key, reason });
  }
}

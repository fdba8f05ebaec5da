/**
 * What becomes of a segment that ClickHouse refuses for good: what it takes is stored part by part, and
 * the events that it refuses go to `quarantine` and into the ledger.
 *
 * Invariants:
 * 1. A part is a batch: its own id in its rows, its own token, its own in-doubt check. Parts that are
 *    refused are looked for in the table together, once for all of one size.
 * 2. Rows of `quarantine` are written once the bisection is over, in few inserts, and rows of `losses`
 *    behind them. Each carries the id of its part, so after a crash the tables tell what is left to do.
 * 3. Bytes of the segment are not held while anything is inserted, but for a slice of encoded parts.
 * 4. Numbers of events mean the same at every read of the segment: one that has changed ends the try.
 */
import { createHash } from 'node:crypto';
import { insertRows } from './commit-rows.js';
import type { EncodedBlock, SegmentEncoder } from './encode/encode-segment.js';
import { receivedDate } from './encode/ledger-rows.js';
import {
  type QuarantinePiece,
  quarantinedLossRows,
  quarantinePieces,
  quarantineRows,
} from './encode/quarantine-rows.js';
import type { SegmentIndex } from './encode/segment-index.js';
import { partsOf, type SegmentPart, segmentPart } from './encode/segment-part.js';
import { isPlanted, reach } from './fault-points.js';
import type { EventRange, Refusal, RefusedRange } from './record.js';
import type { SegmentSource } from './segment-source.js';
import type { Batch, BatchInserter, InsertNotices } from './store/batch-inserter.js';
import { bisect, RangeSet } from './store/bisection.js';
import type { BisectionAllowance } from './store/bisection-allowance.js';
import { earlierWork } from './store/earlier-work.js';
import type { SealedSegment } from './wal/log.js';

export type RefusedOutcome =
  | {
      readonly kind: 'kept';
      readonly stored: number;
      readonly quarantined: number;
      /** Of the first event that this call found refused. */
      readonly refusal: Refusal | undefined;
    }
  /** ClickHouse refuses rows of the ledger itself. */
  | { readonly kind: 'refused'; readonly table: string; readonly refusal: Refusal }
  | { readonly kind: 'stopped' };

/** Where a segment is read from; a replay has no file. */
export type PartSource = Pick<SegmentSource, 'read'>;

export interface RefusedBlock {
  /** Which events of the segment were refused together: up to its last one. */
  readonly within: EventRange;
  /** What of them an earlier process has done. */
  readonly covered: RangeSet;
  readonly refusal: Refusal;
  /** A batch of quarantine and of the ledger whose rows are deleted afterwards. */
  readonly replaces?: string;
}

interface BlockInSource extends RefusedBlock {
  readonly source: PartSource;
}

/** What is in the tables of a block. */
interface Done {
  readonly stored: RangeSet;
  readonly quarantine: ReadonlyMap<string, RefusedRange>;
  readonly losses: ReadonlySet<string>;
}

/** One insert of `quarantine` or of `losses`, as JSON; a row that is larger goes alone. */
const quarantineBytes = 6 * 1024 * 1024;
const quarantineInsertRows = 10_000;
/** How often the tables are asked what is missing before their word is doubted. */
const mostRounds = 3;

/**
 * The file reads otherwise than before: numbers that stand in batch ids would mean other events. A system
 * error, so that the segment is tried from the start, where it is seen what of it is stored.
 */
export class SegmentChanged extends Error {
  readonly code = 'EIO';
  readonly syscall = 'read';
}

/** The source of a segment that has so many events; its reads fail once it has not. */
function unchanged(source: PartSource, events: number): PartSource {
  return {
    read: (sealed, work) =>
      source.read(sealed, (segment, damage) => {
        const found = segment.requests.reduce(
          (sum, { eventCount, rejections }) => sum + eventCount - rejections.length,
          0,
        );
        if (found === events) return work(segment, damage);
        throw new SegmentChanged(
          `segment ${sealed.id} had ${events} events and now has ${found}: ${damage?.problem ?? 'it is read in full'}`,
        );
      }),
  };
}

export class RefusedSegments {
  readonly #source: PartSource;
  readonly #encoder: SegmentEncoder;
  readonly #index: SegmentIndex;
  readonly #inserter: BatchInserter;
  readonly #log: InsertNotices;
  readonly #allowance: BisectionAllowance;
  readonly #toBatch: (sealed: SealedSegment, part: SegmentPart, block: EncodedBlock) => Batch;

  constructor(options: {
    source: PartSource;
    encoder: SegmentEncoder;
    /** The encoder's, or another. */
    index: SegmentIndex;
    inserter: BatchInserter;
    log: InsertNotices;
    /** Shared by all committers of a process. */
    allowance: BisectionAllowance;
    toBatch: (sealed: SealedSegment, part: SegmentPart, block: EncodedBlock) => Batch;
  }) {
    this.#source = options.source;
    this.#encoder = options.encoder;
    this.#index = options.index;
    this.#inserter = options.inserter;
    this.#log = options.log;
    this.#allowance = options.allowance;
    this.#toBatch = options.toBatch;
  }

  async commit(sealed: SealedSegment, block: RefusedBlock): Promise<RefusedOutcome> {
    const { from, to } = block.within;
    const source = unchanged(this.#source, to);
    const blocks = new PartBlocks(source, this.#encoder, sealed, to - from);
    const outcome = await bisect({
      ...block,
      inserts: this.#allowance.inserts,
      confirm: async () => (await this.#ask(sealed, block))?.stored,
      announce: (ranges) => blocks.announce(ranges),
      forgetsOtherHalf: isPlanted('quarantine-whole-batch'),
      insert: async (range) => {
        const part = segmentPart(sealed.id, range);
        const block = await blocks.take(part);
        return this.#inserter.insert({
          ...this.#toBatch(sealed, part, block),
          isWithinRefused: true,
          isConfirmedLater: true,
        });
      },
    });
    if (outcome.kind === 'stopped') return outcome;
    this.#allowance.settle(outcome.isCut);
    if (outcome.isCut) {
      this.#log.warn(
        { batch: sealed.id, inserts: outcome.inserts, ranges: outcome.refused.length },
        'too many events of a batch are refused to find each of them: ranges go to quarantine as they are',
      );
    }
    return this.#keep(sealed, { source, ...block }, outcome.refused);
  }

  async #keep(
    sealed: SealedSegment,
    block: BlockInSource,
    refused: readonly RefusedRange[],
  ): Promise<RefusedOutcome> {
    let pieces: QuarantinePiece[] = [];
    for (let round = 1; ; round++) {
      const done = await this.#ask(sealed, block);
      if (done === undefined) return { kind: 'stopped' };
      const known = new RangeSet([...done.quarantine.values(), ...partsOf(done.losses)]);
      const { stored } = done;
      const left = refused.flatMap(({ refusal, ...range }) =>
        known
          .without(range)
          .flatMap((rest) => stored.without(rest))
          .map((rest) => ({ ...rest, refusal })),
      );
      if (left.length === 0 || round > mostRounds) {
        return this.#record(sealed, { block, pieces, done, refusal: refused[0]?.refusal });
      }
      pieces = await block.source.read(sealed, (segment) => quarantinePieces(segment, this.#index, left));
      const outcome = await this.#quarantine(sealed, block.source, pieces);
      if (outcome !== undefined) return outcome;
    }
  }

  /** What is in the tables of the block, but for what is replaced. */
  async #ask(sealed: SealedSegment, { within, replaces }: RefusedBlock): Promise<Done | undefined> {
    const segment = { id: sealed.id, receivedDate: receivedDate(sealed.id) };
    const work = await earlierWork(this.#inserter, segment);
    if (work === undefined) return undefined;
    const isOurs = ({ from, to, batchId }: SegmentPart): boolean =>
      within.from <= from && to <= within.to && batchId !== replaces;
    const quarantine = new Map<string, RefusedRange>();
    for (const part of partsOf(work.quarantine.keys()).filter(isOurs)) {
      const refusal = work.quarantine.get(part.batchId) as Refusal;
      quarantine.set(part.batchId, { from: part.from, to: part.to, refusal });
    }
    const losses = new Set(
      partsOf(work.losses)
        .filter(isOurs)
        .map(({ batchId }) => batchId),
    );
    return { stored: new RangeSet(partsOf(work.events)), quarantine, losses };
  }

  async #quarantine(
    sealed: SealedSegment,
    source: PartSource,
    pieces: readonly QuarantinePiece[],
  ): Promise<RefusedOutcome | undefined> {
    for (const chunk of chunksOf(pieces)) {
      const rows = await source.read(sealed, (segment) => quarantineRows(segment, this.#index, chunk));
      reach('quarantine.before');
      const outcome = await insertRows(this.#inserter, sealed, {
        table: 'quarantine',
        batchId: (chunk[0] as QuarantinePiece).batchId,
        token: tokenOf(chunk, 'quarantine'),
        rows,
        inDoubt: false,
      });
      reach('quarantine.after');
      if (outcome.kind === 'stopped') return outcome;
      if (outcome.kind === 'refused') return { kind: 'refused', table: 'quarantine', refusal: outcome };
    }
    return undefined;
  }

  /** The rows of `losses` for all that is in quarantine and not recorded yet. */
  async #record(
    sealed: SealedSegment,
    state: {
      readonly block: BlockInSource;
      readonly pieces: readonly QuarantinePiece[];
      readonly done: Done;
      readonly refusal: Refusal | undefined;
    },
  ): Promise<RefusedOutcome> {
    const { block, pieces, done, refusal } = state;
    const quarantined = new Map<string, RefusedRange>([
      ...pieces.map((piece) => [piece.batchId, piece] as const),
      ...done.quarantine,
    ]);
    // What `replay` has stored since is no loss any more.
    const unrecorded = [...quarantined]
      .filter(([batchId, range]) => !done.losses.has(batchId) && !done.stored.covers(range))
      .map(([, range]) => range)
      .sort((a, b) => a.from - b.from);
    const lost =
      unrecorded.length === 0
        ? []
        : await block.source.read(sealed, (segment) => quarantinePieces(segment, this.#index, unrecorded));
    for (const chunk of chunksOf(lost)) {
      const outcome = await insertRows(this.#inserter, sealed, {
        table: 'losses',
        batchId: (chunk[0] as QuarantinePiece).batchId,
        token: tokenOf(chunk, 'losses'),
        rows: await block.source.read(sealed, (segment) => quarantinedLossRows(segment, chunk)),
        inDoubt: false,
      });
      if (outcome.kind === 'stopped') return outcome;
      if (outcome.kind === 'refused') return { kind: 'refused', table: 'losses', refusal: outcome };
    }
    const away = new RangeSet([...quarantined.values(), ...partsOf(done.losses)]);
    const events = block.within.to - block.within.from;
    return { kind: 'kept', stored: events - away.size, quarantined: away.size, refusal };
  }
}

function* chunksOf(pieces: readonly QuarantinePiece[]): Generator<QuarantinePiece[]> {
  let chunk: QuarantinePiece[] = [];
  let bytes = 0;
  for (const piece of pieces) {
    const isFull = chunk.length >= quarantineInsertRows || bytes + piece.bytes > quarantineBytes;
    if (chunk.length > 0 && isFull) {
      yield chunk;
      chunk = [];
      bytes = 0;
    }
    chunk.push(piece);
    bytes += piece.bytes;
  }
  if (chunk.length > 0) yield chunk;
}

/** The same pieces in one insert have the same token, whichever process inserts them. */
function tokenOf(pieces: readonly SegmentPart[], table: string): string {
  const hash = createHash('sha256').update(pieces.map(({ batchId }) => batchId).join('\n'));
  return `${(pieces[0] as SegmentPart).batchId}-${hash.digest('hex').slice(0, 32)}-${table}`;
}

/** Encodes parts, several small ones each time that the segment is read. */
class PartBlocks {
  readonly #source: PartSource;
  readonly #encoder: SegmentEncoder;
  readonly #sealed: SealedSegment;
  /** Events that are encoded ahead: an eighth of the segment, so of its memory. */
  readonly #ahead: number;
  #upcoming: SegmentPart[] = [];
  #ready = new Map<string, EncodedBlock>();

  constructor(source: PartSource, encoder: SegmentEncoder, sealed: SealedSegment, events: number) {
    this.#source = source;
    this.#encoder = encoder;
    this.#sealed = sealed;
    this.#ahead = events / 8;
  }

  announce(ranges: readonly EventRange[]): void {
    this.#upcoming = ranges.map((range) => segmentPart(this.#sealed.id, range));
    this.#ready.clear();
  }

  /** The part's block: valid until another one is taken. */
  async take(part: SegmentPart): Promise<EncodedBlock> {
    const ready = this.#ready.get(part.batchId);
    if (ready !== undefined) return ready;
    const at = this.#upcoming.findIndex(({ batchId }) => batchId === part.batchId);
    const slice = [part];
    let events = part.to - part.from;
    let next = at === -1 ? this.#upcoming.length : at + 1;
    for (; next < this.#upcoming.length; next++) {
      const more = this.#upcoming[next] as SegmentPart;
      events += more.to - more.from;
      if (events > this.#ahead) break;
      slice.push(more);
    }
    if (at !== -1) this.#upcoming.splice(0, next);
    this.#ready.clear();
    const first = await this.#source.read(this.#sealed, (segment) => {
      if (slice.length === 1) return this.#encoder.encode(segment, part);
      for (const each of slice) this.#ready.set(each.batchId, copyOf(this.#encoder.encode(segment, each)));
      return undefined;
    });
    return first ?? (this.#ready.get(part.batchId) as EncodedBlock);
  }
}

function copyOf({ rows, chunks, bytes }: EncodedBlock): EncodedBlock {
  return { rows, chunks: [Buffer.concat(chunks)], bytes };
}

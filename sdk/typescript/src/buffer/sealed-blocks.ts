import { type Block, blockSize, writeBlock } from '../encode/block.js';
import { blockHeadBytes } from '../encode/event-size.js';
import { readBlocks } from '../encode/read-blocks.js';
import { offsetsOf, selectRows, shiftOffsets } from '../encode/select-rows.js';
import { internalLimits, wireLimits } from '../limits.js';
import type { SealedDraft } from './event-encoder.js';
import { EvictionIndex } from './eviction-index.js';
import { encodeLosses, type FrozenRequest, frozenRequest, requestPrefix } from './frozen-request.js';
import { appendLoss, type LossRange } from './loss.js';
import type { RequestMemory } from './request-memory.js';
import type { Tally } from './tally.js';

interface Content {
  readonly blocks: readonly Block[];
  /** Ascending. */
  readonly losses: readonly LossRange[];
}

/**
 * A sealed draft of blocks: the bytes of the request as it will be frozen, producer, first sequence, blocks and losses,
 * in a buffer of exactly that size. Only where events are evicted, or losses are a great many, is it read back and
 * laid out again.
 */
export class SealedBlocks implements SealedDraft {
  readonly first: number;
  readonly openedMs: number;
  readonly tally: Tally;
  readonly overhead: number;

  readonly #count: number;
  readonly #producer: Uint8Array;
  readonly #laidOut: LaidOut;
  readonly #losses: readonly LossRange[];
  #index: EvictionIndex | undefined;
  #evictedBytes = 0;
  #evictedMs = 0;

  constructor(
    parts: {
      first: number;
      count: number;
      openedMs: number;
      tally: Tally;
      producer: Uint8Array;
      /** Where its bytes are taken from; without it they are new. */
      memory?: RequestMemory;
    } & Content,
  ) {
    this.first = parts.first;
    this.openedMs = parts.openedMs;
    this.tally = parts.tally;
    this.#count = parts.count;
    this.#producer = parts.producer;
    this.#losses = parts.losses;
    this.#laidOut = layOut(parts, requestPrefix(parts.producer, parts.first), parts.memory);
    this.overhead = parts.blocks.reduce(
      (sum, { name, metricNames, attributeNames }) => sum + blockHeadBytes(name, metricNames, attributeNames),
      0,
    );
  }

  evictNewest(severity: number, timeMs: number): number {
    this.#index ??= new EvictionIndex(this.#blocks());
    if (this.#evictedMs === 0) this.#evictedMs = timeMs;
    const size = this.#index.evictNewest(severity);
    this.tally.remove(severity, size);
    this.#evictedBytes += size;
    return size;
  }

  compact(isLeft: boolean): SealedDraft {
    if (this.#evictedBytes === 0) return this;
    const bytes = this.tally.bytes + this.#evictedBytes;
    const isWorthIt = isLeft || this.#evictedBytes > bytes * internalLimits.compactionShare;
    return isWorthIt ? this.#rewritten() : this;
  }

  freeze(): FrozenRequest[] {
    if (this.#evictedBytes > 0) return this.#rewritten().freeze();
    if (this.#losses.length > wireLimits.lossesPerRequest) return this.#divided();
    const { events } = this.tally;
    const content = { first: this.first, count: this.#count, events, losses: this.#losses };
    return [frozenRequest({ ...content, bytes: this.#laidOut.bytes, producer: this.#producer })];
  }

  #blocks(): Block[] {
    const { bytes, blocksStart, blocksEnd } = this.#laidOut;
    return readBlocks(bytes.subarray(blocksStart, blocksEnd));
  }

  #rewritten(): SealedBlocks {
    const { first, openedMs, tally } = this;
    const content = { blocks: this.#blocks(), losses: this.#losses };
    const evicted = this.#index?.evicted() ?? [];
    const live = withoutEvicted(content, first, evicted, this.#evictedMs);
    return new SealedBlocks({
      first,
      count: this.#count,
      openedMs,
      tally,
      producer: this.#producer,
      ...live,
    });
  }

  /** As several requests, each with as many losses as it may have and the events before the next one. */
  #divided(): FrozenRequest[] {
    const { lossesPerRequest } = wireLimits;
    const requests: FrozenRequest[] = [];
    const blocks = this.#blocks();
    let from = this.first;
    for (let index = 0; index < this.#losses.length; index += lossesPerRequest) {
      const losses = this.#losses.slice(index, index + lossesPerRequest);
      const end = this.#losses[index + lossesPerRequest]?.first ?? this.first + this.#count;
      const [low, high] = [from - this.first, end - this.first];
      const part = selectOffsets(blocks, (offset) => offset >= low && offset < high);
      const shifted = part.map((block) => shiftOffsets(block, low));
      const { bytes } = layOut({ blocks: shifted, losses }, requestPrefix(this.#producer, from));
      const events = shifted.reduce((sum, { count }) => sum + count, 0);
      requests.push(
        frozenRequest({ first: from, count: end - from, events, losses, bytes, producer: this.#producer }),
      );
      from = end;
    }
    return requests;
  }
}

interface LaidOut {
  readonly bytes: Buffer;
  readonly blocksStart: number;
  readonly blocksEnd: number;
}

/** A request in one buffer of exactly its size, each array copied once. */
function layOut({ blocks, losses }: Content, prefix: Uint8Array, memory?: RequestMemory): LaidOut {
  const lossBytes = encodeLosses(losses);
  const blocksStart = prefix.length;
  const blocksEnd = blocks.reduce((end, block) => end + blockSize(block), blocksStart);
  const size = blocksEnd + lossBytes.length;
  const bytes = memory?.take(size) ?? Buffer.allocUnsafeSlow(size);
  bytes.set(prefix);
  let at = blocksStart;
  for (const block of blocks) at = writeBlock(block, bytes, at);
  bytes.set(lossBytes, at);
  return { bytes, blocksStart, blocksEnd };
}

/** Without the events of these offsets, which are losses now. */
export function withoutEvicted(
  content: Content,
  first: number,
  evicted: readonly number[],
  timeMs: number,
): Content {
  const gone = new Set(evicted);
  const losses: LossRange[] = [];
  let next = 0;
  const appendBefore = (end: number): void => {
    for (; next < evicted.length && first + evicted[next]! < end; next++)
      appendLoss(losses, { first: first + evicted[next]!, count: 1, reason: 'buffer_full', timeMs });
  };
  for (const range of content.losses) {
    appendBefore(range.first);
    appendLoss(losses, range);
  }
  appendBefore(Number.POSITIVE_INFINITY);
  return { blocks: selectOffsets(content.blocks, (offset) => !gone.has(offset)), losses };
}

/** The events that are to stay; a block without any is none. */
function selectOffsets(blocks: readonly Block[], stays: (offset: number) => boolean): Block[] {
  const selected: Block[] = [];
  for (const block of blocks) {
    const rows: number[] = [];
    const offsets = offsetsOf(block);
    for (let row = 0; row < offsets.length; row++) if (stays(offsets[row]!)) rows.push(row);
    if (rows.length === block.count) selected.push(block);
    else if (rows.length > 0) selected.push(selectRows(block, rows));
  }
  return selected;
}

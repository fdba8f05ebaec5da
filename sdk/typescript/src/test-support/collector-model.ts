import { expectedSequenceKey, retryDelayKey } from '@sluice/proto';
import { unblock } from './unblock.js';
import { decodeRequest, type WireEvent } from './wire.js';

/** What became of one sequence number at the collector. */
export type Fate = { readonly event: WireEvent } | { readonly loss: string };

export interface Refusal {
  readonly code: number;
  readonly message: string;
  readonly metadata: Readonly<Record<string, string>>;
}

export class RefusedCall extends Error {
  readonly refusal: Refusal;
  constructor(code: number, message: string, metadata: Record<string, string> = {}) {
    super(message);
    this.refusal = { code, message, metadata };
  }
}

interface StoredProducer {
  durable: number;
  readonly fates: Map<number, Fate>;
}

export interface FlushMark {
  /** From 1. */
  readonly call: number;
  /** What the producer's durable sequence was then. */
  readonly durable: number;
  /** Whether it came with the producer alone. */
  readonly isAlone: boolean;
}

/** The rules of the contract for sequences, in memory: what a collector stores, acknowledges and refuses. */
export class CollectorModel {
  readonly producers = new Map<string, StoredProducer>();
  messages = 0;
  calls = 0;
  /** What it asks for with every answer; 0: nothing. */
  callAgeMs = 0;
  /** Each wish to have what a call brought committed soon. */
  readonly marks: FlushMark[] = [];
  /** Looked at before each message; may throw a RefusedCall. */
  beforeMessage: ((bytes: Uint8Array) => void) | undefined;

  openCall(): CallModel {
    this.calls++;
    return new CallModel(this);
  }

  producer(id: string): StoredProducer {
    const known = this.producers.get(id);
    if (known !== undefined) return known;
    const added = { durable: 0, fates: new Map<number, Fate>() };
    this.producers.set(id, added);
    return added;
  }

  /** All events of the only producer, in order. */
  events(): WireEvent[] {
    const [producer] = this.producers.values();
    return [...(producer?.fates ?? [])]
      .sort(([a], [b]) => a - b)
      .flatMap(([, fate]) => ('event' in fate ? [fate.event] : []));
  }

  fates(): Map<number, Fate> {
    const [producer] = this.producers.values();
    return producer?.fates ?? new Map();
  }
}

export class CallModel {
  readonly #collector: CollectorModel;
  readonly #number: number;
  #id: string | undefined;
  #accepted = 0;
  #duplicates = 0;

  constructor(collector: CollectorModel) {
    this.#collector = collector;
    this.#number = collector.calls;
  }

  /** Stores a message or throws a RefusedCall. */
  take(bytes: Uint8Array): void {
    this.#collector.messages++;
    this.#collector.beforeMessage?.(bytes);
    const request = decodeRequest(bytes);
    if (this.#id === undefined) {
      if (request.producer?.id.length !== 16) throw new RefusedCall(3, 'the first message has no producer');
      this.#id = request.producer.id.toString('hex');
    } else if (request.producer !== undefined) {
      throw new RefusedCall(3, 'a later message has a producer; the test holds the SDK to the contract');
    }
    if (request.flush) {
      // The SDK marks in a message of its own, which changes no frozen request.
      const { durable } = this.#collector.producer(this.#id);
      const { flush: _, producer, ...rest } = request;
      if (Object.keys(rest).length > 0)
        throw new RefusedCall(3, 'a wish to be committed with something else');
      this.#collector.marks.push({ call: this.#number, durable, isAlone: producer !== undefined });
      return;
    }
    const fates = rangeOf(request);
    const first = Number(request.first_sequence ?? 0);
    const last = first + fates.length - 1;
    const isKnown = this.#collector.producers.has(this.#id);
    const producer = this.#collector.producer(this.#id);
    if (isKnown && last <= producer.durable) {
      this.#duplicates += fates.length;
      return;
    }
    if (isKnown && first !== producer.durable + 1) {
      throw new RefusedCall(9, `expected ${producer.durable + 1}, got ${first}`, {
        [expectedSequenceKey]: String(producer.durable + 1),
      });
    }
    for (const [index, fate] of fates.entries()) producer.fates.set(first + index, fate);
    producer.durable = last;
    this.#accepted += fates.length;
  }

  response(): { durable_sequence: string; accepted: string; duplicates: string } {
    const durable = this.#id === undefined ? 0 : this.#collector.producer(this.#id).durable;
    return {
      durable_sequence: String(durable),
      accepted: String(this.#accepted),
      duplicates: String(this.#duplicates),
    };
  }
}

export function overloaded(delayMs?: number): RefusedCall {
  return new RefusedCall(8, 'overloaded', delayMs === undefined ? {} : { [retryDelayKey]: String(delayMs) });
}

/** One fate for each number of the request's range; throws for a request that breaks the contract. */
function rangeOf(request: ReturnType<typeof decodeRequest>): Fate[] {
  const first = Number(request.first_sequence ?? 0);
  const events = request.events ?? [];
  const blocks = request.blocks ?? [];
  const losses = request.losses ?? [];
  if (first < 1) throw new RefusedCall(3, 'no first sequence');
  if (losses.length > 10_000) throw new RefusedCall(3, `${losses.length} losses`);
  if (blocks.length > 10_000) throw new RefusedCall(3, `${blocks.length} blocks`);
  if (blocks.length > 0 && events.length > 0) throw new RefusedCall(3, 'events and blocks');
  const fates: Fate[] = [];
  const give = (at: number, fate: Fate): void => {
    if (fates[at] !== undefined) throw new RefusedCall(3, `two fates for number ${first + at}`);
    fates[at] = fate;
  };
  for (const block of blocks) {
    for (const { offset, event } of unblock(block)) give(offset, { event });
  }
  let taken = 0;
  let next = 0;
  for (const loss of losses) {
    const at = Number(loss.first_sequence) - first;
    const count = Number(loss.count);
    if (at < next || count < 1) throw new RefusedCall(3, 'losses overlap or are empty');
    if (blocks.length === 0) {
      for (; next < at; next++) {
        const event = events[taken++];
        if (event === undefined) throw new RefusedCall(3, 'a loss lies outside of the range');
        give(next, { event });
      }
    }
    for (let index = 0; index < count; index++) give(at + index, { loss: loss.reason });
    next = at + count;
  }
  for (const event of events.slice(taken)) give(next++, { event });
  if (fates.length === 0) throw new RefusedCall(3, 'an empty range');
  for (let at = 0; at < fates.length; at++) {
    if (fates[at] === undefined) throw new RefusedCall(3, `no fate for number ${first + at}`);
  }
  return fates;
}

/**
 * A producer that behaves like an SDK: numbers without holes, requests frozen when they are first sent
 * and resent byte for byte, one call in flight, and a rewind when the collector names another number.
 */
import { messageLimits } from '@sluice/collector/limits.js';
import { CallIntake } from '@sluice/collector/receive/intake.js';
import { encodeRequest, producerId } from '@sluice/collector/testing/wire.js';
import type { WriteAheadLog } from '@sluice/collector/wal/log.js';
import type { Random } from '../random.js';
import { encodeNumbers } from './formula.js';

/** What a logger's flush() puts behind the last request of a call. */
const flushMark = encodeRequest({ flush: true });

interface Frozen {
  readonly first: number;
  readonly last: number;
  readonly bytes: Buffer;
}

export class ModelProducer {
  readonly number: number;
  readonly key: string;
  readonly #random: Random;
  #next = 1;
  #frozen: Frozen[] = [];
  #call: symbol | undefined;
  /** The highest number that was acknowledged, in an answer or as the number to go on from. */
  acknowledged = 0;
  /** Told as lost because the collector asked again for what was acknowledged. */
  readonly repaired: { first: number; last: number }[] = [];

  constructor(number: number, random: Random) {
    this.number = number;
    this.key = producerId(number).toString('latin1');
    this.#random = random;
  }

  get isBusy(): boolean {
    return this.#call !== undefined;
  }

  get isDone(): boolean {
    return this.#frozen.length === 0;
  }

  /** Freezes a request of a few new numbers. */
  log(most: number): void {
    const first = this.#next;
    const last = first + this.#random.whole(0, most - 1);
    this.#next = last + 1;
    this.#frozen.push({ first, last, bytes: this.#encode(first, last) });
  }

  /** The collector is gone: the call that was under way will not be answered. */
  disconnect(): void {
    this.#call = undefined;
  }

  /** One call with some of what is frozen. An answer that comes after `disconnect` is not heard. */
  async call(log: WriteAheadLog, now: () => number): Promise<void> {
    if (this.isBusy || this.isDone) return;
    const call = Symbol();
    this.#call = call;
    try {
      const intake = new CallIntake(log, messageLimits, now);
      const sent = this.#frozen.slice(0, this.#random.whole(1, 4));
      for (const { bytes } of sent) {
        // The rest of a call may come in later turns, behind the failures of the log.
        if (this.#random.chance(0.3)) await new Promise((resolve) => setImmediate(resolve));
        const refusal = intake.take(bytes);
        if (refusal === undefined) continue;
        const settled = await intake.settle(refusal);
        if (this.#call !== call) return;
        if (settled.kind === 'out_of_sequence') this.#rewind(settled.expectedSequence);
        else if (settled.kind !== 'overloaded' && settled.kind !== 'unavailable') {
          throw new Error(`the collector refuses a sound request: ${settled.message}`);
        }
        return;
      }
      if (this.#random.chance(0.3)) await new Promise((resolve) => setImmediate(resolve));
      if (this.#random.chance(0.1)) intake.take(flushMark);
      const answer = await intake.acknowledge();
      if (this.#call !== call) return;
      // An answer promises all that its call carried, whatever else it says.
      const carried = (sent.at(-1) as Frozen).last;
      if ('durableSequence' in answer) this.#release(Math.max(answer.durableSequence, carried));
    } finally {
      if (this.#call === call) this.#call = undefined;
    }
  }

  #release(sequence: number): void {
    this.acknowledged = Math.max(this.acknowledged, Math.min(sequence, this.#next - 1));
    while (this.#frozen[0] !== undefined && this.#frozen[0].last <= sequence) this.#frozen.shift();
  }

  #rewind(expected: number): void {
    const oldest = this.#frozen[0] as Frozen;
    if (expected < oldest.first) {
      const lost = { first: expected, last: oldest.first - 1 };
      this.repaired.push(lost);
      this.#frozen.unshift({ ...lost, bytes: this.#encode(lost.first, lost.last) });
      return;
    }
    this.#release(expected - 1);
    const next = this.#frozen[0];
    if (next !== undefined && next.first < expected) {
      this.#frozen[0] = { first: expected, last: next.last, bytes: this.#encode(expected, next.last) };
    }
  }

  isRepaired(sequence: number): boolean {
    return this.repaired.some(({ first, last }) => first <= sequence && sequence <= last);
  }

  #encode(first: number, last: number): Buffer {
    return encodeNumbers(this.number, { first, last, isGivenUp: (sequence) => this.isRepaired(sequence) });
  }
}

/**
 * What can happen to an INSERT on its way, so that the collector cannot know whether it was committed.
 * Each is one function: it gets the exchange, and decides what the store and the collector see of it.
 */
import type { Random } from '../random.js';
import { badGateway, type Exchange, exceptionInBody } from './store-proxy.js';

export const insertFaults = [
  'cut-after-commit',
  'silent-after-commit',
  '502-after-commit',
  'exception-200-after-commit',
  'exception-200-before-commit',
  'cut-in-body',
  'late-first',
  'late-last',
  'late-together',
] as const;
export type InsertFault = (typeof insertFaults)[number];

/** A batch whose first INSERT is still on its way when the collector asks for it. */
interface Late {
  readonly exchange: Exchange;
  readonly order: 'first' | 'last' | 'together';
  /** Set once the collector was told that the batch is not there. */
  sent: Promise<unknown> | undefined;
}

export class InsertFaults {
  readonly counts = new Map<InsertFault, number>();
  readonly #random: Random;
  readonly #late = new Map<string, Late>();

  constructor(random: Random) {
    this.#random = random;
  }

  get total(): number {
    return [...this.counts.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Batches whose first INSERT has not arrived yet. */
  get pending(): number {
    return this.#late.size;
  }

  async inflict(fault: InsertFault, exchange: Exchange): Promise<void> {
    this.counts.set(fault, (this.counts.get(fault) ?? 0) + 1);
    switch (fault) {
      case 'cut-after-commit':
        await exchange.forward();
        return exchange.cut();
      case 'silent-after-commit':
        await exchange.forward();
        return exchange.clientGone();
      case '502-after-commit':
        await exchange.forward();
        return exchange.answer(badGateway);
      case 'exception-200-after-commit':
        await exchange.forward();
        return exchange.answer(exceptionInBody);
      case 'exception-200-before-commit':
        return exchange.answer(exceptionInBody);
      case 'cut-in-body':
        await exchange.forwardCut(this.#random.whole(1, exchange.body.length - 1));
        return exchange.cut();
      case 'late-first':
      case 'late-last':
      case 'late-together':
        this.#late.set(exchange.batchId, {
          exchange,
          order: fault.slice('late-'.length) as Late['order'],
          sent: undefined,
        });
        return exchange.cut();
    }
  }

  /** To be called for an in-doubt question: its answer is 'no', and then the late INSERT arrives. */
  async question(exchange: Exchange): Promise<void> {
    const late = this.#late.get(exchange.batchId);
    const answer = await exchange.pass();
    if (late === undefined || answer === undefined || late.sent !== undefined) return;
    if (late.order !== 'last') late.sent = late.exchange.forward();
  }

  /** To be called for an INSERT that is sent again; false if it is not of a late batch. */
  async again(exchange: Exchange): Promise<boolean> {
    const late = this.#late.get(exchange.batchId);
    if (late === undefined) return false;
    // Only the token tells the store that these two are one.
    if (late.order === 'first') await late.sent;
    await exchange.pass();
    if (late.order === 'last') late.sent = late.exchange.forward();
    await late.sent;
    this.#late.delete(exchange.batchId);
    return true;
  }
}

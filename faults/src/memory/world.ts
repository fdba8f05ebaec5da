/** Producers, a collector that may die, a disk that may fail, and a store: one history, from one seed. */
import type { WalLimits } from '@sluice/collector/limits.js';
import { CrashingStorage } from '@sluice/collector/testing/crashing-storage.js';
import { VirtualTime } from '@sluice/collector/testing/virtual-time.js';
import type { Random } from '../random.js';
import { Life, turn } from './life.js';
import { ModelProducer } from './model-producer.js';
import { ModelStore } from './model-store.js';

/** A history that does not come to its end in so many turns hangs. */
const mostTurnsToEnd = 3000;

export interface WorldOptions {
  readonly segments?: 'small' | 'any size';
  /** How often a commit that is due is begun: with a slow store, more segments are in the log. */
  readonly commitChance?: number;
}

export class World {
  readonly random: Random;
  readonly store = new ModelStore();
  readonly time = new VirtualTime();
  readonly producers: ModelProducer[];
  readonly violations: string[] = [];
  /** What the logs of all lives told people. */
  readonly warnings: string[] = [];
  /** Numbers in one request, at most. */
  readonly #most: number;
  readonly #limits: Partial<WalLimits>;
  readonly #commitChance: number;
  storage: CrashingStorage;
  life: Life;

  constructor(random: Random, options: WorldOptions = {}) {
    this.random = random;
    // Segments within a page of the disk's cache, and over several: what a later write takes along differs.
    const isLarge = options.segments === 'any size' && random.chance(0.5);
    this.#most = isLarge ? 60 : 8;
    this.#limits = isLarge ? { segmentBytes: 40_000, segmentEvents: 2000 } : {};
    this.#commitChance = options.commitChance ?? 1;
    this.producers = Array.from(
      { length: random.whole(1, 4) },
      (_, index) => new ModelProducer(index + 1, random.fork(index)),
    );
    this.storage = new CrashingStorage(() => random.next());
    this.life = this.#newLife();
  }

  #newLife(): Life {
    const { storage, store, time, random } = this;
    const { warnings } = this;
    return new Life({
      storage,
      store,
      time,
      random,
      warnings,
      limits: this.#limits,
    });
  }

  /** Starts the collector. A start that throws is a crash loop. */
  async start(): Promise<boolean> {
    try {
      return await this.life.start();
    } catch (error) {
      this.violations.push(`a start threw: ${(error as Error).stack}`);
      this.storage.die();
      return false;
    }
  }

  /** One random thing that happens. */
  async step(): Promise<void> {
    const { random, life, time } = this;
    const draw = random.whole(0, 19);
    if (draw < 5) random.pick(this.producers).log(this.#most);
    else if (draw < 11) this.#call(random.pick(this.producers));
    else if (draw < 14) {
      if (random.chance(this.#commitChance)) life.commitOne();
    } else if (draw === 14) void life.log.sealNow();
    else if (draw < 18) time.advance(random.whole(1, 40));
    else for (const producer of this.producers) this.#call(producer);
    if (random.chance(0.8)) await turn();
  }

  #call(producer: ModelProducer): void {
    producer.call(this.life.log, this.time.now).catch((error: unknown) => {
      this.violations.push(`a call threw: ${(error as Error).stack}`);
    });
  }

  /** Steps until the process is dead, or so many are done. */
  async run(steps: number): Promise<void> {
    for (let step = 0; step < steps && !this.storage.isDead; step++) await this.step();
  }

  /** The process is gone; the next one finds `storage`. */
  replaceStorage(storage: CrashingStorage): void {
    this.storage.die();
    for (const producer of this.producers) producer.disconnect();
    this.time.forgetTimers();
    this.storage = storage;
    this.life = this.#newLife();
  }

  powerLoss(): void {
    this.replaceStorage(this.storage.afterPowerLoss());
  }

  kill(): void {
    this.replaceStorage(this.storage.afterKill());
  }

  /** All faults are over: everything must come to its end by itself. */
  async finish(): Promise<void> {
    const { producers, life, time } = this;
    // A producer that has nothing to send does not learn what the collector lost.
    for (const producer of producers) producer.log(this.#most);
    for (let turns = 0; turns < mostTurnsToEnd; turns++) {
      for (const producer of producers) this.#call(producer);
      await turn();
      if (producers.every(({ isDone, isBusy }) => isDone && !isBusy)) {
        void life.log.sealNow();
        await turn();
        if (!life.hasUncommitted) return;
      }
      life.commitOne();
      time.advance(50);
    }
    const waiting = producers.filter(({ isDone }) => !isDone).map(({ number }) => number);
    this.violations.push(
      `after ${mostTurnsToEnd} turns without a fault producers [${waiting}] wait, ${life.hasUncommitted ? 'and' : 'no'} segments; the log says: ${this.warnings.at(-1)}; its admission is ${JSON.stringify(life.log.admission(1, producers[0]?.key ?? ''))}`,
    );
  }
}

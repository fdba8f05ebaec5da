/**
 * Everything that a scenario with processes needs, in one place: a real store, a real collector, real
 * SDKs, a proxy in between if wanted, and the oracle at the end.
 */
import { join } from 'node:path';
import { judge } from '../oracle/judge.js';
import type { CollectorSettings } from '../processes/protocol.js';
import type { Outcome, ScenarioContext } from '../scenario.js';
import { CollectorHost, smallSegments } from './collector-host.js';
import { becomes } from './deadline.js';
import { Fleet, type FleetOptions } from './fleet.js';
import { reservePort } from './ports.js';
import { StoreHost } from './store-host.js';
import { StoreProxy } from './store-proxy.js';

/** Several times the longest pause of the SDK and of the collector between two tries. */
const flowTimeoutMs = 60_000;

/** A segment's file is named after its id. */
const segmentIdLength = 36;

export interface RigOptions {
  /** Names the run; the scenario's name. */
  readonly run: string;
  /** Sections over those of `smallSegments`. */
  readonly collector?: CollectorSettings;
  /** Of the first start. */
  readonly workers?: number;
  readonly producers?: FleetOptions;
  readonly withProxy?: boolean;
  /** Give the processes wall clocks that can be set. */
  readonly withClock?: boolean;
}

export class Rig {
  readonly store: StoreHost;
  readonly collector: CollectorHost;
  readonly fleet: Fleet;
  /** What was broken beyond what the oracle counts. */
  readonly violations: string[] = [];
  readonly #proxy: StoreProxy | undefined;

  private constructor(parts: {
    store: StoreHost;
    collector: CollectorHost;
    fleet: Fleet;
    proxy: StoreProxy | undefined;
    violations: string[];
  }) {
    this.store = parts.store;
    this.collector = parts.collector;
    this.fleet = parts.fleet;
    this.#proxy = parts.proxy;
    this.violations = parts.violations;
  }

  /** Store, proxy and collector are up; no load yet. */
  static async start(context: ScenarioContext, options: RigOptions): Promise<Rig> {
    const violations: string[] = [];
    const onLost = (problem: string): void => void violations.push(problem);
    const store = new StoreHost({
      dataDir: join(context.folder, 'store'),
      port: await reservePort(),
      onLost,
    });
    context.onEnd(() => store.kill());
    await store.start();
    const proxy = options.withProxy === true ? new StoreProxy(store.url) : undefined;
    const storeUrl = (await proxy?.start()) ?? store.url;
    context.onEnd(() => proxy?.stop());
    const collector = new CollectorHost({
      dataDir: join(context.folder, 'collector'),
      port: await reservePort(),
      storeUrl,
      settings: merge(smallSegments, options.collector ?? {}),
      workers: options.workers,
      plant: context.plant,
      onLost,
    });
    if (options.withClock === true) collector.clockOffsetMs = 0;
    context.onEnd(() => collector.kill());
    await collector.start();
    const fleet = new Fleet({
      endpoint: collector.endpoint,
      run: options.run,
      random: context.random.fork(1),
      kind: context.producers,
      options: {
        ...options.producers,
        sdk: { encoding: context.encoding, ...options.producers?.sdk },
      },
    });
    if (options.withClock === true) fleet.clockOffsetMs = 0;
    context.onEnd(() => fleet.killAll());
    return new Rig({ store, collector, fleet, proxy, violations });
  }

  get proxy(): StoreProxy {
    if (this.#proxy === undefined) throw new Error('the rig was started without a proxy');
    return this.#proxy;
  }

  /** Resolves once something that was logged is acknowledged from now on: the load has found its way again. */
  async acknowledges(): Promise<void> {
    const before = this.fleet.acknowledged;
    if (await becomes(() => this.fleet.acknowledged > before, flowTimeoutMs)) return;
    this.violations.push(`nothing was acknowledged within ${flowTimeoutMs} ms of a start`);
  }

  /** Resolves once a batch is committed from now on. */
  async commits(): Promise<void> {
    const counters = () => this.collector.child.ask('counters');
    const { committedSegments } = await counters();
    if (await becomes(async () => (await counters()).committedSegments > committedSegments, flowTimeoutMs))
      return;
    this.violations.push(`nothing was committed within ${flowTimeoutMs} ms of a start`);
  }

  /** Resolves once the log is empty, or when nothing more leaves it; how much is there is no matter. */
  async #drained(): Promise<void> {
    const { collector } = this;
    let least = collector.segments;
    while (least > 1) {
      if (!(await becomes(() => collector.segments < least, flowTimeoutMs))) return;
      least = collector.segments;
    }
  }

  /** Ends source first, so that everything is delivered, then asks the oracle. */
  async finish(figures: Readonly<Record<string, number | string>> = {}): Promise<Outcome> {
    const { fleet, collector, store, violations } = this;
    await fleet.finish();
    if (!collector.isAlive) await collector.start();
    if (!store.isAlive) await store.start();
    await this.#drained();
    // What came last it delivers before it ends.
    await collector.end();
    if (collector.segments > 1) {
      violations.push(
        `${collector.segments} segments are left after the collector's end; there should be one, empty`,
      );
    }
    for (const file of collector.damaged) {
      const said = collector.logOf(file.slice(0, segmentIdLength)).join(' | ');
      violations.push(`${file} was kept aside as damaged, although no byte of the log was touched: ${said}`);
    }
    const verdict = await judge(store.client, fleet.accounts);
    return {
      ...verdict,
      violations: [...verdict.violations, ...violations, ...fleet.violations],
      figures: { duplicates_refused: fleet.duplicates, resends: fleet.resends, ...figures },
    };
  }
}

function merge(base: CollectorSettings, over: CollectorSettings): CollectorSettings {
  const sections = new Set([...Object.keys(base), ...Object.keys(over)]);
  return Object.fromEntries([...sections].map((name) => [name, { ...base[name], ...over[name] }]));
}

/** One place where a process lives, dies and lives again: its address and its files outlast it. */
import type { Child } from '../processes/child.js';
import type { Ending } from '../processes/protocol.js';
import { within } from './deadline.js';

/** Generous: the machine may be shared, and a start that takes longer is a finding. */
const startTimeoutMs = 120_000;
const endTimeoutMs = 150_000;

export abstract class Host<
  Calls extends Ending & { [Name in keyof Calls]: (argument: never) => Promise<unknown> },
> {
  #child: Child<Calls> | undefined;
  #upChild: Child<Calls> | undefined;
  readonly #killed = new WeakSet<Child<Calls>>();
  /** How often it was killed. */
  kills = 0;
  protected readonly onLost: (problem: string) => void;

  /** @param onLost told when a process ends or fails to start although nobody killed it */
  constructor(onLost: (problem: string) => void) {
    this.onLost = onLost;
  }

  protected abstract spawn(): Child<Calls>;
  protected abstract boot(child: Child<Calls>): Promise<void>;

  get child(): Child<Calls> {
    if (this.#child === undefined) throw new Error('start comes first');
    return this.#child;
  }

  get isAlive(): boolean {
    return this.#child?.isAlive === true;
  }

  /** Its start has succeeded, and it is alive. */
  get isUp(): boolean {
    return this.isAlive && this.#upChild === this.#child;
  }

  /** Resolves to 'killed' if that happened before it was up; rejects if it failed by itself. */
  start(): Promise<'up' | 'killed'> {
    const child = this.spawn();
    this.#child = child;
    const booting = this.boot(child).then(
      () => {
        this.#upChild = child;
        return 'up' as const;
      },
      (error: unknown) => {
        if (!child.isAlive && this.#killed.has(child)) return 'killed' as const;
        throw error;
      },
    );
    const starting = within(booting, startTimeoutMs, `the start of the ${child.role}`);
    starting.catch((error: unknown) => {
      // Nobody may be waiting for it. One that kills itself by plan has its own rules.
      if (child.isAlive) this.onLost(`the ${child.role} did not start: ${String(error)}`);
    });
    return starting;
  }

  /** SIGKILL. Resolves once it is gone. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || !child.isAlive) return;
    this.kills++;
    this.#killed.add(child);
    await child.kill();
  }

  /** Lets it end by itself, as SIGTERM would. */
  async end(): Promise<void> {
    const child = this.#child;
    if (child === undefined || !child.isAlive) return;
    await within(
      (child as unknown as Child<Ending>).end(),
      endTimeoutMs,
      `the orderly end of the ${child.role}`,
    );
  }
}

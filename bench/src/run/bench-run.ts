/**
 * One run of a question: its temporary folder, its processes, its deadline.
 *
 * Invariants:
 * 1. After `close` no process of the run is alive and its folder is gone, whatever happened before.
 * 2. A run that takes longer than its deadline fails, and says at which step it was.
 * 3. A process that ends by itself fails the run at once.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Child, type ChildOptions } from '../processes/child.js';

type Method = (argument: never) => Promise<unknown>;

export class BenchRun {
  readonly directory: string;
  /** Rejects at the deadline, or when a process is lost; race it with the question. */
  readonly failed: Promise<never>;
  readonly #fail: (error: Error) => void;
  readonly #timer: NodeJS.Timeout;
  readonly #children: { kill(): Promise<void> }[] = [];
  readonly #startMs = performance.now();
  #step = 'the start';
  #closing: Promise<void> | undefined;

  static async open(options: { deadlineMs: number }): Promise<BenchRun> {
    return new BenchRun(await mkdtemp(join(tmpdir(), 'sluice-bench-')), options.deadlineMs);
  }

  private constructor(directory: string, deadlineMs: number) {
    this.directory = directory;
    let fail: (error: Error) => void = () => {};
    this.failed = new Promise((_, reject) => {
      fail = reject;
    });
    this.#fail = fail;
    // Looked at only in a race, which may be over before.
    this.failed.catch(() => {});
    this.#timer = setTimeout(() => {
      const seconds = Math.round(deadlineMs / 1000);
      fail(
        new Error(
          `the bench took longer than ${seconds} s and was ended; it was at this step: ${this.#step}`,
        ),
      );
    }, deadlineMs);
  }

  /** Says on stderr what happens next; stdout belongs to the result. */
  step(text: string): void {
    this.#step = text;
    const seconds = ((performance.now() - this.#startMs) / 1000).toFixed(1).padStart(6);
    process.stderr.write(`${seconds} s  ${text}\n`);
  }

  start<Calls extends { [Name in keyof Calls]: Method }>(
    options: Omit<ChildOptions, 'onLost'>,
  ): Child<Calls> {
    if (this.#closing !== undefined) throw new Error('the run is over');
    const child = new Child<Calls>({ ...options, onLost: this.#fail });
    this.#children.push(child);
    return child;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    clearTimeout(this.#timer);
    await Promise.all(this.#children.map((child) => child.kill()));
    await rm(this.directory, { recursive: true, force: true, maxRetries: 3 });
  }
}

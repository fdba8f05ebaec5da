/** The bench's side of a measured process: starts it, asks it, ends it by its id. */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Answer, Question } from './serve.js';

export interface ChildOptions {
  /** For messages, such as "collector". */
  readonly role: string;
  /** The entry file in this folder, such as collector-process.js; or a program that serves the same channel
   *  (bench/python/serve.py). */
  readonly entry: string | { readonly program: string; readonly arguments: readonly string[] };
  readonly env?: Readonly<Record<string, string>>;
  readonly nodeArguments?: readonly string[];
  /** It ended although nobody asked it to: the others would wait for it in vain. */
  readonly onLost: (error: Error) => void;
}

type Method = (argument: never) => Promise<unknown>;

export class Child<Calls extends { [Name in keyof Calls]: Method }> {
  readonly role: string;
  readonly #process: ChildProcess;
  readonly #waiting = new Map<number, { resolve(result: unknown): void; reject(error: Error): void }>();
  #nextId = 1;
  #ended = false;
  #endExpected = false;
  readonly #onLost: (error: Error) => void;

  constructor(options: ChildOptions) {
    this.role = options.role;
    this.#onLost = options.onLost;
    const { entry } = options;
    const shared = {
      // stdout belongs to the result.
      stdio: ['ignore', process.stderr, process.stderr, 'ipc'] as [
        'ignore',
        typeof process.stderr,
        typeof process.stderr,
        'ipc',
      ],
      env: { ...process.env, ...options.env },
    };
    this.#process =
      typeof entry === 'string'
        ? fork(fileURLToPath(new URL(entry, import.meta.url)), {
            ...shared,
            execArgv: [...(options.nodeArguments ?? [])],
          })
        : spawn(entry.program, [...entry.arguments], shared);
    this.#process.on('message', (answer: Answer) => this.#onAnswer(answer));
    this.#process.on('error', (error) => this.#onEnded(error.message));
    this.#process.on('exit', (code, signal) => this.#onEnded(`it ended with ${signal ?? code}`));
  }

  /** Rejects when the process reports an error or ends. */
  ask<Name extends keyof Calls & string>(
    call: Name,
    ...[argument]: Parameters<Calls[Name]>
  ): Promise<Awaited<ReturnType<Calls[Name]>>> {
    if (this.#ended) return Promise.reject(new Error(`the ${this.role} process has ended already`));
    const question: Question = { id: this.#nextId++, call, argument };
    return new Promise((resolve, reject) => {
      this.#waiting.set(question.id, { resolve: resolve as (result: unknown) => void, reject });
      this.#process.send(question);
    });
  }

  /** Whatever it is doing. Safe to call at any time. */
  async kill(): Promise<void> {
    if (this.#ended) return;
    this.#endExpected = true;
    const ended = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await ended;
  }

  /** Resolves once the process is gone; asks it to stop first. */
  async stop(this: Child<Calls & { stop(): Promise<void> }>): Promise<void> {
    this.#endExpected = true;
    const ended = once(this.#process, 'exit');
    await (this as Child<{ stop(): Promise<void> }>).ask('stop');
    await ended;
  }

  #onAnswer(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if (answer.ok) waiting?.resolve(answer.result);
    else waiting?.reject(new Error(`the ${this.role} process: ${answer.error}`));
  }

  #onEnded(how: string): void {
    this.#ended = true;
    const error = new Error(`the ${this.role} process: ${how}`);
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
    if (!this.#endExpected) this.#onLost(error);
  }
}

/** The suite's side of one process: starts it, asks it, kills it by its id. */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { FromChild, Question } from './serve.js';

export interface ChildOptions {
  /** For messages, such as "collector". */
  readonly role: string;
  /** The entry file in this folder, such as collector-process.js; or a program that serves the same channel
   *  (faults/python/channel.py). */
  readonly entry: string | { readonly program: string; readonly arguments: readonly string[] };
  /** Where its log goes; stderr by default. */
  readonly logFile?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly nodeArguments?: readonly string[];
  readonly onNotice?: (notice: unknown) => void;
  /** It ended although nobody asked it to. */
  readonly onLost?: (how: string) => void;
}

type Method = (argument: never) => Promise<unknown>;

interface Waiting {
  resolve(result: unknown): void;
  reject(error: Error): void;
}

export class Child<Calls extends { [Name in keyof Calls]: Method }> {
  readonly role: string;
  /** Resolves to how it ended, such as "SIGKILL" or "exit code 70". */
  readonly ended: Promise<string>;
  readonly #process: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;
  #how: string | undefined;
  #isEndExpected = false;

  constructor(options: ChildOptions) {
    this.role = options.role;
    const log = options.logFile === undefined ? 2 : openSync(options.logFile, 'a');
    const { entry } = options;
    // stdout belongs to the result.
    const stdio: ['ignore', number, number, 'ipc'] = ['ignore', log, log, 'ipc'];
    const env = { ...process.env, ...options.env };
    const child =
      typeof entry === 'string'
        ? fork(fileURLToPath(new URL(entry, import.meta.url)), {
            stdio,
            env,
            execArgv: [...(options.nodeArguments ?? [])],
          })
        : spawn(entry.program, [...entry.arguments], { stdio, env });
    if (log !== 2) closeSync(log);
    this.#process = child;
    child.on('message', (message: FromChild) => {
      if (message.kind === 'notice') options.onNotice?.(message.notice);
      else this.#onAnswer(message);
    });
    this.ended = new Promise((resolve) => {
      const end = (how: string): void => {
        if (this.#how !== undefined) return;
        this.#how = how;
        const error = new Error(`the ${this.role} process ended: ${how}`);
        for (const { reject } of this.#waiting.values()) reject(error);
        this.#waiting.clear();
        if (!this.#isEndExpected) options.onLost?.(how);
        resolve(how);
      };
      child.on('error', (error) => end(error.message));
      // Not `exit`: what the process had still sent is read first, and that may be an acknowledgment.
      child.on('close', (code, signal) => end(signal ?? `exit code ${code}`));
    });
  }

  get pid(): number {
    return this.#process.pid as number;
  }

  get isAlive(): boolean {
    return this.#how === undefined;
  }

  /** Rejects when the process reports an error or ends. */
  ask<Name extends keyof Calls & string>(
    call: Name,
    ...[argument]: Parameters<Calls[Name]>
  ): Promise<Awaited<ReturnType<Calls[Name]>>> {
    if (!this.isAlive) return Promise.reject(new Error(`the ${this.role} process has ended: ${this.#how}`));
    const question: Question = { id: this.#nextId++, call, argument };
    return new Promise((resolve, reject) => {
      this.#waiting.set(question.id, { resolve: resolve as (result: unknown) => void, reject });
      // A process that dies just now is told of by its end.
      this.#process.send(question, () => {});
    });
  }

  /** From now on its end is none of the violations. */
  expectEnd(): void {
    this.#isEndExpected = true;
  }

  /** SIGKILL, whatever it is doing. Safe at any time. */
  async kill(): Promise<void> {
    this.#isEndExpected = true;
    if (this.isAlive) this.#process.kill('SIGKILL');
    await this.ended;
  }

  /** Asks it to end by itself and waits until it has. */
  async end(this: Child<Calls & { end(): Promise<void> }>): Promise<void> {
    this.#isEndExpected = true;
    if (!this.isAlive) return;
    await (this as Child<{ end(): Promise<void> }>).ask('end');
    await this.ended;
  }

  #onAnswer(answer: FromChild & { kind: 'answer' }): void {
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if (answer.error === undefined) waiting?.resolve(answer.result);
    else waiting?.reject(new Error(`the ${this.role} process: ${answer.error}`));
  }
}

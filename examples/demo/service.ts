/** `sluice up` on free ports, as a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';

const startMs = 40_000;
/** Longer than the collector's and the store's own deadlines together. */
const stopMs = 45_000;

/** What `sluice up --json` says when it is ready. */
export interface Ready {
  readonly grpc: string;
  readonly store: string;
  readonly pid: number;
  readonly storePid: number;
}

export class Service {
  readonly #root: string;
  readonly #folder: string;
  readonly #keep: boolean;
  #child: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();
  #ready: Ready | undefined;

  /** @param keep it outlives this process; else it ends with it, however that ends */
  constructor(options: { readonly root: string; readonly folder: string; readonly keep: boolean }) {
    this.#root = options.root;
    this.#folder = options.folder;
    this.#keep = options.keep;
  }

  get logFile(): string {
    return join(this.#folder, 'sluice.log');
  }

  async start(): Promise<Ready> {
    const program = join(this.#root, 'collector', 'bin', 'sluice.js');
    const data = join(this.#folder, 'data');
    const args = ['up', '--data', data, '--grpc', '127.0.0.1:0', '--store-port', '0', '--json'];
    const logFile = openSync(this.logFile, 'a');
    const child = spawn(process.execPath, [program, ...args], {
      stdio: this.#keep ? ['ignore', 'pipe', logFile] : ['ignore', 'pipe', logFile, 'ipc'],
      detached: this.#keep,
    });
    closeSync(logFile);
    this.#child = child;
    this.#exited = new Promise((resolve) => child.once('exit', () => resolve()));
    const ready = await Promise.race([
      firstLine(child),
      this.#exited,
      delay(startMs, undefined, { ref: false }),
    ]);
    if (typeof ready !== 'string') {
      const log = readFileSync(this.logFile, 'utf8').trim().split('\n').slice(-5).join('\n');
      throw new Error(`sluice up is not ready within ${startMs / 1000} s; the end of its log:\n${log}`);
    }
    this.#ready = JSON.parse(ready) as Ready;
    return this.#ready;
  }

  /** Lets it live on without this process. */
  release(): void {
    this.#child?.stdout?.destroy();
    this.#child?.unref();
  }

  async stop(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGTERM');
    const deadline = setTimeout(() => this.endNow(), stopMs);
    await this.#exited;
    clearTimeout(deadline);
  }

  endNow(): void {
    this.#child?.kill('SIGKILL');
    if (this.#ready === undefined) return;
    try {
      process.kill(this.#ready.storePid, 'SIGKILL');
    } catch {
      // It has ended already.
    }
  }
}

async function firstLine(child: ChildProcess): Promise<string | undefined> {
  if (child.stdout === null) return undefined;
  for await (const line of createInterface({ input: child.stdout })) return line;
  return undefined;
}

/**
 * The embedded store as a child process, and its supervision.
 *
 * 1. One supervisor a directory: it holds a lock, so that a second one fails at once and by name.
 * 2. A child of a supervisor that was killed stops by itself; a new supervisor waits for that.
 * 3. A child that dies is started again, on the same port, with growing delays, until `stop`.
 * 4. After `stop` there is no child.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { SluiceError } from '../errors.js';
import type { Logger } from '../process-log.js';
import { type DirectoryLock, lockDirectory } from '../wal/lock.js';
import type { StoreNotice } from './store-notice.js';

const program = fileURLToPath(new URL('../../bin/sluice.js', import.meta.url));

/** How long a start waits for a dying store to let the directory go. */
const heldDirectoryMs = 15_000;
const heldDirectoryPollMs = 250;
/** A store gives its statements 10 s, and lets an INSERT that has begun run to its end. */
const stopMs = 20_000;
const restartMinMs = 200;
const restartMaxMs = 10_000;
/** A child that lived this long is restarted without the delays of the ones before it. */
const healthyMs = 60_000;
const pingMs = 10_000;

export interface StoreProcessOptions {
  /** The store's own directory. */
  readonly directory: string;
  /** `--data` of the child, whose own rule puts `directory` below it. */
  readonly data: string;
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly configFile: string | undefined;
  /** Size of the child's thread pool; each running statement takes one thread. */
  readonly threads: number;
  readonly log: Logger;
}

interface Child {
  readonly process: ChildProcess;
  readonly pid: number;
  readonly exited: Promise<string>;
  readonly startedMs: number;
}

export class StoreProcess {
  readonly #options: StoreProcessOptions;
  readonly #stopped = new AbortController();
  #lock: DirectoryLock | undefined;
  #port: number;
  #child: Child | undefined;
  #stopping: Promise<void> | undefined;

  constructor(options: StoreProcessOptions) {
    this.#options = options;
    this.#port = options.port;
  }

  /** The running child, or none between two. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Resolves once the store answers. Rejects with a SluiceError that says what to do. */
  async start(): Promise<string> {
    const { directory, log } = this.#options;
    this.#lock = lockDirectory(directory);
    const giveUpMs = performance.now() + heldDirectoryMs;
    let told = false;
    for (;;) {
      try {
        const url = await this.#launch();
        await ping(url);
        return url;
      } catch (error) {
        await this.#end();
        const held = error instanceof SluiceError && error.code === 'data_directory_locked';
        if (!held || performance.now() > giveUpMs || this.#stopped.signal.aborted) {
          if (!this.#stopped.signal.aborted) this.#releaseLock();
          throw error;
        }
        if (!told) {
          log.info(
            { directory, waitMs: heldDirectoryMs },
            'an earlier store still holds the directory; waiting for it to end',
          );
          told = true;
        }
        await this.#pause(heldDirectoryPollMs);
      }
    }
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /** Ends the child without waiting; what it has answered is on the disk. */
  endNow(): void {
    this.#child?.process.kill('SIGKILL');
  }

  async #stop(): Promise<void> {
    this.#stopped.abort();
    await this.#end();
    this.#releaseLock();
  }

  #releaseLock(): void {
    this.#lock?.release();
    this.#lock = undefined;
  }

  async #end(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    // Not a signal, which the store leaves to us: it stops when the channel closes, as if we had died.
    if (child.process.connected) child.process.disconnect();
    const deadline = setTimeout(() => {
      this.#options.log.warn({ storePid: child.pid, stopMs }, 'the embedded store does not stop; killing it');
      child.process.kill('SIGKILL');
    }, stopMs);
    await child.exited;
    clearTimeout(deadline);
  }

  async #launch(): Promise<string> {
    const child = this.#spawn();
    const notice = await Promise.race([firstNotice(child.process), child.exited]);
    if (typeof notice === 'string') {
      throw new SluiceError(
        'store_unavailable',
        `the embedded store ended while it started (${notice}); its log is above`,
      );
    }
    if (notice.kind === 'failed') {
      await child.exited;
      throw new SluiceError(notice.code, notice.message);
    }
    this.#port = notice.port;
    void child.exited.then((how) => this.#restart(child, how));
    return reachableUrl(notice.url);
  }

  #spawn(): Child {
    const { data, host, configFile, threads } = this.#options;
    if (this.#stopped.signal.aborted)
      throw new SluiceError('store_unavailable', 'the embedded store was told to stop');
    const args = ['store', '--supervised', '--data', data, '--host', host, '--port', String(this.#port)];
    if (configFile !== undefined) args.push('--config', configFile);
    const child = spawn(process.execPath, [program, ...args], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      env: { ...process.env, UV_THREADPOOL_SIZE: String(threads), SLUICE_LOG_LEVEL: this.#options.log.level },
    });
    const exited = new Promise<string>((resolve) => {
      child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
      child.once('error', (error) => resolve(error.message));
    }).finally(() => {
      if (this.#child?.process === child) this.#child = undefined;
    });
    this.#child = { process: child, pid: child.pid ?? 0, exited, startedMs: performance.now() };
    return this.#child;
  }

  async #restart(dead: Child, how: string): Promise<void> {
    const { log } = this.#options;
    let [lived, reason] = [performance.now() - dead.startedMs, how];
    for (let attempt = 0; !this.#stopped.signal.aborted; attempt++) {
      const waitMs = lived >= healthyMs ? restartMinMs : Math.min(restartMinMs * 2 ** attempt, restartMaxMs);
      log.error({ reason, waitMs }, 'the embedded store has ended; starting it again');
      await this.#pause(waitMs);
      if (this.#stopped.signal.aborted) return;
      const startedMs = performance.now();
      try {
        await this.#launch();
        log.info({ storePid: this.pid, port: this.#port }, 'the embedded store is back');
        return;
      } catch (error) {
        [lived, reason] = [performance.now() - startedMs, (error as Error).message];
      }
    }
  }

  async #pause(ms: number): Promise<void> {
    // Ended early by `stop`; whoever paused looks at the signal.
    await delay(ms, undefined, { signal: this.#stopped.signal }).catch(() => {});
  }
}

async function firstNotice(child: ChildProcess): Promise<StoreNotice> {
  const [notice] = (await once(child, 'message')) as [StoreNotice];
  return notice;
}

/** A store that listens everywhere is reached over loopback. */
function reachableUrl(url: string): string {
  return url.replace('//0.0.0.0:', '//127.0.0.1:').replace('//[::]:', '//[::1]:');
}

async function ping(url: string): Promise<void> {
  const response = await fetch(`${url}/ping`, { signal: AbortSignal.timeout(pingMs) }).catch(
    (cause: unknown) => {
      throw new SluiceError(
        'store_unavailable',
        `the embedded store at ${url} does not answer /ping within ${pingMs} ms`,
        {
          cause,
        },
      );
    },
  );
  if (response.ok) return;
  throw new SluiceError(
    'store_unavailable',
    `the embedded store at ${url} answers /ping with HTTP ${response.status}`,
  );
}

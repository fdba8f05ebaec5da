/**
 * The embedded store: ClickHouse's HTTP protocol over the in-process engine, in a process of its own.
 *
 * 1. One process a data directory; the engine sees to it.
 * 2. What an INSERT's answer reports is on the disk.
 * 3. Statements, their memory, their results, bodies and sessions are bounded (`embeddedLimits`).
 * 4. The engine is closed after the last statement, never under one.
 *
 * Each running statement holds a thread of libuv's pool: the process must be started with
 * UV_THREADPOOL_SIZE of at least `neededThreads` in its environment, before Node uses the pool.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { SluiceError } from '../errors.js';
import { embeddedLimits } from '../limits.js';
import { Admission } from './admission.js';
import { createDecoder } from './decode.js';
import { type Engine, openEngine } from './engine.js';
import { writeEngineConfig } from './engine-config.js';
import { HandedBodies } from './handed-body.js';
import { type HandlerParts, handle } from './handler.js';
import { ResultPipes } from './result-pipe.js';
import { Running } from './running.js';
import { Sessions } from './sessions.js';
import { Spool } from './spool.js';

export interface EmbeddedStoreOptions {
  readonly dataDir: string;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly limits?: Partial<{ readonly [Name in keyof typeof embeddedLimits]: number }>;
  readonly log: {
    info(obj: object, msg: string): void;
    warn(obj: object, msg: string): void;
    error(obj: object, msg: string): void;
  };
}

export interface EmbeddedStore {
  start(): Promise<{ url: string; port: number }>;
  stop(): Promise<void>;
}

/** At a stop: how long statements may take to end by themselves; then reads are killed. */
const stopMs = 10_000;
/** Threads besides those of statements: a KILL, a decompression, and files. */
const spareThreads = 6;
const connectionsLimit = 1024;
/** The URL of a GET holds the statement; ClickHouse allows 1 MiB. */
const headerBytes = 1024 * 1024;

export function createEmbeddedStore(options: EmbeddedStoreOptions): EmbeddedStore {
  return new HttpStore(options);
}

class HttpStore implements EmbeddedStore {
  readonly #options: EmbeddedStoreOptions;
  readonly #limits: HandlerParts['limits'];
  readonly #dataDir: string;
  readonly #requests = new Set<Promise<void>>();
  readonly #active = new Set<AbortController>();
  #opened:
    | { engine: Engine; sessions: Sessions; spool: Spool; handed: HandedBodies; server: Server }
    | undefined;
  #stopped: Promise<void> | undefined;

  constructor(options: EmbeddedStoreOptions) {
    this.#options = options;
    this.#limits = { ...embeddedLimits, ...options.limits };
    this.#dataDir = resolve(options.dataDir);
  }

  async start(): Promise<{ url: string; port: number }> {
    const limits = this.#limits;
    this.#checkThreads();
    // The engine first: nothing of the directory is touched before it is known to be ours.
    const configFile = await this.#prepareDirectory();
    const engine = await openEngine(this.#dataDir, configFile);
    const spool = new Spool(this.#dataDir, limits.insertBodyBytes);
    const handed = new HandedBodies(spool.directory, limits.insertBodyBytes);
    const sessions = new Sessions(engine);
    const pipes = new ResultPipes(spool.directory);
    const parts: HandlerParts = {
      engine,
      sessions,
      pipes,
      spool,
      handed,
      limits,
      running: new Running(engine),
      admission: new Admission(limits),
      decode: createDecoder({ engine, spool, pipes, memoryBytes: limits.queryMemoryBytes }),
      log: this.#options.log,
      active: this.#active,
    };
    const server = this.#createServer(parts);
    try {
      await spool.start();
      await handed.start();
      await pipes.start();
      await listen(server, this.#options.host, this.#options.port);
    } catch (error) {
      await engine.close();
      throw error;
    }
    this.#opened = { engine, sessions, spool, handed, server };
    const { port } = server.address() as AddressInfo;
    const host = this.#options.host.includes(':') ? `[${this.#options.host}]` : this.#options.host;
    const url = `http://${host}:${port}`;
    this.#options.log.info(
      { url, dataDir: this.#dataDir, version: engine.version },
      'embedded store is ready',
    );
    return { url, port };
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    const opened = this.#opened;
    if (opened === undefined) return;
    const closed = new Promise<void>((done) => opened.server.close(() => done()));
    opened.server.closeIdleConnections();
    const deadline = new AbortController();
    await Promise.race([
      this.#drained(),
      delay(stopMs, undefined, { signal: deadline.signal, ref: false }),
    ]).catch(() => {});
    deadline.abort();
    // Reads are killed; uploads lose their connection; an INSERT that has begun still runs to its end.
    for (const statement of this.#active) statement.abort(new Error('the store stops'));
    opened.server.closeAllConnections();
    await this.#drained();
    await closed;
    opened.handed.stop();
    await opened.sessions.close();
    await opened.engine.close();
    await rm(opened.spool.directory, { recursive: true, force: true });
    this.#options.log.info({ dataDir: this.#dataDir }, 'embedded store has stopped');
  }

  async #drained(): Promise<void> {
    while (this.#requests.size > 0) await Promise.allSettled(this.#requests);
  }

  #createServer(parts: HandlerParts): Server {
    const { requestIdleMs, keepAliveMs } = this.#limits;
    const server = createServer(
      {
        maxHeaderSize: headerBytes,
        headersTimeout: requestIdleMs,
        keepAliveTimeout: keepAliveMs,
        // Uploads may be long; what is bounded is how long they stall (body.ts).
        requestTimeout: 0,
        connectionsCheckingInterval: Math.min(5000, requestIdleMs),
      },
      (message, response) => {
        // Errors of a connection surface where it is read or written.
        message.on('error', () => {});
        response.on('error', () => {});
        const request = handle(parts, message, response).catch((err: unknown) => {
          this.#options.log.error({ err }, 'a request could not be answered');
          response.destroy();
        });
        this.#requests.add(request);
        void request.finally(() => this.#requests.delete(request));
      },
    );
    server.maxConnections = connectionsLimit;
    return server;
  }

  async #prepareDirectory(): Promise<string> {
    // INFILE takes a pattern, so a path with these characters would name other files.
    if (/[*?{}]/.test(this.#dataDir)) {
      throw new SluiceError(
        'data_directory_unusable',
        `the data directory ${this.#dataDir} has one of * ? { } in its path, which the engine reads as a pattern; choose another`,
      );
    }
    try {
      await mkdir(this.#dataDir, { recursive: true });
      const probe = join(this.#dataDir, `.sluice-probe-${process.pid}`);
      await writeFile(probe, '');
      await rm(probe);
      return await writeEngineConfig(this.#dataDir, this.#limits);
    } catch (cause) {
      throw new SluiceError(
        'data_directory_unusable',
        `the data directory ${this.#dataDir} cannot be created or written: ${(cause as Error).message}. ` +
          'Give a directory that this user may write.',
        { cause },
      );
    }
  }

  #checkThreads(): void {
    const needed = this.#limits.concurrentReads + this.#limits.concurrentInserts + spareThreads;
    const { UV_THREADPOOL_SIZE: size } = process.env;
    const threads = Number(size ?? 4);
    if (threads >= needed) return;
    this.#options.log.warn(
      { threads, needed },
      `the process has ${threads} threads for statements and files, ${needed} are needed: set UV_THREADPOOL_SIZE=${needed} in its environment`,
    );
  }
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  try {
    await new Promise<void>((done, fail) => {
      server.once('error', fail);
      server.listen({ host, port }, () => {
        server.removeListener('error', fail);
        done();
      });
    });
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    throw new SluiceError(
      code === 'EADDRINUSE' ? 'address_in_use' : 'configuration',
      code === 'EADDRINUSE'
        ? `port ${port} on ${host} is in use: is another store running? Stop it, or choose another port.`
        : `cannot listen on ${host}:${port}: ${message}`,
      { cause },
    );
  }
}

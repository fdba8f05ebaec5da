/**
 * The in-process ClickHouse engine (npm `chdb`) behind a small interface. The only file that imports
 * chdb.
 *
 * 1. A connection runs one statement at a time; connections run beside each other, each with its own
 *    settings, parameters, current database and temporary tables.
 * 2. A connection is never closed under a running statement: that would abort the engine.
 * 3. A statement that runs holds a thread of libuv's pool until it ends (UV_THREADPOOL_SIZE).
 */
import { createRequire } from 'node:module';
import { SluiceError } from '../errors.js';
import { type Exception, exceptionOfEngine } from './exceptions.js';

export interface Success {
  readonly ok: true;
  /** The result, unless the statement sent it elsewhere (INTO OUTFILE). */
  readonly bytes: Buffer;
  /** Rows and bytes of the result; the engine does not say how many it read for it. */
  readonly resultRows: number;
  readonly resultBytes: number;
  /** Rows and bytes written, for an INSERT; with those of materialized views, as on a server. */
  readonly writtenRows: number;
  readonly writtenBytes: number;
  readonly elapsedNs: number;
}
export type Outcome = Success | { readonly ok: false; readonly exception: Exception };

export interface EngineConnection {
  /** Runs `sql`: any number of SET and USE, then one statement. Never rejects. */
  run(sql: string, format: string): Promise<Outcome>;
  /** As `run`, for an INSERT: counts what was written. */
  write(sql: string): Promise<Outcome>;
  /** Closes once the running statement has ended; resolves then. */
  close(): Promise<void>;
}

export interface Engine {
  readonly version: string;
  readonly timezone: string;
  readonly displayName: string;
  connect(): EngineConnection;
  /** Resolves when every connection is closed; the caller closes its own first. */
  close(): Promise<void>;
}

/**
 * chdb's native addon. Not `chdb.Session`: closing one waits for the running statements of every other
 * one, so that a long query would keep all connections open that end during it (and KILL QUERY … SYNC
 * would wait for itself); and its `insert` takes text formats only.
 */
interface Addon {
  CreateConnection(path: string, connectionArgs?: readonly string[]): unknown;
  CloseConnection(connection: unknown): void;
  QueryAsyncConnection(
    connection: unknown,
    sql: string,
    format: string,
  ): Promise<{ bytes: Uint8Array; elapsed: number; rowsRead: number; bytesRead: number }>;
  InsertRawAsyncConnection(
    connection: unknown,
    sql: string,
    data: Buffer,
    countLines: boolean,
  ): Promise<{ elapsed: number; rowsWritten: number; bytesWritten: number }>;
}

function loadAddon(): Addon {
  const require = createRequire(import.meta.url);
  try {
    // The path is not among the package's exports; package.json pins the version that has it.
    const loader = createRequire(require.resolve('chdb'))('./dist/loader.js') as { loadNative(): Addon };
    return loader.loadNative();
  } catch (cause) {
    throw new SluiceError(
      'store_unavailable',
      `the embedded engine (npm package chdb) cannot be loaded on ${process.platform}-${process.arch}: ` +
        `${(cause as Error).message.split('\n')[0]}. It exists for Linux (glibc) and macOS on x64 and arm64. ` +
        'Elsewhere, give the collector the URL of a ClickHouse server instead of embedding one.',
      { cause },
    );
  }
}

class ChdbConnection implements EngineConnection {
  readonly #addon: Addon;
  readonly #connection: unknown;
  #running: Promise<unknown> = Promise.resolve();
  #closed: Promise<void> | undefined;

  constructor(addon: Addon, connection: unknown) {
    this.#addon = addon;
    this.#connection = connection;
  }

  run(sql: string, format: string): Promise<Outcome> {
    return this.#track(async () => {
      const result = await this.#addon.QueryAsyncConnection(this.#connection, sql, format);
      const { buffer, byteOffset, byteLength } = result.bytes;
      return {
        ok: true,
        bytes: Buffer.from(buffer, byteOffset, byteLength),
        resultRows: result.rowsRead,
        resultBytes: result.bytesRead,
        writtenRows: 0,
        writtenBytes: 0,
        elapsedNs: Math.round(result.elapsed * 1e9),
      };
    });
  }

  write(sql: string): Promise<Outcome> {
    return this.#track(async () => {
      // The addon wants data behind the statement; a blank is none.
      const result = await this.#addon.InsertRawAsyncConnection(
        this.#connection,
        sql,
        Buffer.from(' '),
        false,
      );
      return {
        ok: true,
        bytes: Buffer.alloc(0),
        resultRows: 0,
        resultBytes: 0,
        writtenRows: result.rowsWritten,
        writtenBytes: result.bytesWritten,
        elapsedNs: Math.round(result.elapsed * 1e9),
      };
    });
  }

  close(): Promise<void> {
    this.#closed ??= this.#running.then(() => this.#addon.CloseConnection(this.#connection));
    return this.#closed;
  }

  #track(start: () => Promise<Success>): Promise<Outcome> {
    if (this.#closed !== undefined) throw new Error('a statement on a closed connection of the engine');
    const outcome = start().catch(
      (error: Error): Outcome => ({
        ok: false,
        exception: exceptionOfEngine(error.message),
      }),
    );
    this.#running = outcome;
    return outcome;
  }
}

/** Opens the engine on a directory that exists. `configFile` is the engine's own XML configuration. */
export async function openEngine(dataDir: string, configFile: string): Promise<Engine> {
  const addon = loadAddon();
  let root: ChdbConnection;
  try {
    root = new ChdbConnection(addon, addon.CreateConnection(dataDir, [`--config-file=${configFile}`]));
  } catch (cause) {
    throw openingError(dataDir, cause as Error);
  }
  const answer = await root.run('SELECT version(), timezone(), hostName()', 'TabSeparated');
  if (!answer.ok) {
    await root.close();
    throw new SluiceError(
      'store_unavailable',
      `the embedded engine does not answer: ${answer.exception.message}`,
      {
        cause: answer.exception,
      },
    );
  }
  const [version, timezone, displayName] = answer.bytes.toString('utf8').trimEnd().split('\t');
  return {
    version: version!,
    timezone: timezone!,
    displayName: displayName!,
    connect: () => new ChdbConnection(addon, addon.CreateConnection(dataDir)),
    // The last connection; the engine closes its tables with it.
    close: () => root.close(),
  };
}

// chdb says only that it failed. The caller has made sure that the directory can be written, so what is
// left is, all but always, another process that holds it.
function openingError(dataDir: string, cause: Error): SluiceError {
  return new SluiceError(
    'data_directory_locked',
    `the embedded engine cannot open the data directory ${dataDir}: another process holds it. One store a ` +
      `directory: stop the other one, or choose another directory. (${cause.message})`,
    { cause },
  );
}

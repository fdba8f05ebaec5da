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
import type { Session } from 'chdb';
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

/** The addon's own function: `Session.insert` counts rows too, but takes text formats only. */
type InsertRaw = (
  connection: unknown,
  sql: string,
  data: Buffer,
  countLines: boolean,
) => Promise<{ elapsed: number; rowsWritten: number; bytesWritten: number }>;

interface Chdb {
  Session: new (path: string, options?: { connectionArgs?: readonly string[] }) => Session;
  insertRaw: InsertRaw | undefined;
}

function loadChdb(): Chdb {
  const require = createRequire(import.meta.url);
  try {
    const entry = require.resolve('chdb');
    const module = require(entry) as { Session: Chdb['Session'] };
    // Not in the package's exports; a chdb without it still inserts, it only does not count INSERT … SELECT.
    const loader = createRequire(entry)('./dist/loader.js') as {
      loadNative?: () => { InsertRawAsyncConnection?: InsertRaw };
    };
    return { Session: module.Session, insertRaw: loader.loadNative?.().InsertRawAsyncConnection };
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
  readonly #session: Session;
  readonly #insertRaw: InsertRaw | undefined;
  #running: Promise<unknown> = Promise.resolve();

  constructor(session: Session, insertRaw: InsertRaw | undefined) {
    this.#session = session;
    this.#insertRaw = insertRaw;
  }

  run(sql: string, format: string): Promise<Outcome> {
    return this.#track(async () => {
      const result = await this.#session.queryAsync(sql, { format });
      const bytes = result.bytes();
      return {
        ok: true,
        bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
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
      const done = { ok: true, bytes: Buffer.alloc(0), resultRows: 0, resultBytes: 0 } as const;
      if (this.#insertRaw === undefined) {
        const { rowsRead, bytesRead, elapsed } = await this.#session.queryAsync(sql, { format: 'Null' });
        return {
          ...done,
          writtenRows: rowsRead,
          writtenBytes: bytesRead,
          elapsedNs: Math.round(elapsed * 1e9),
        };
      }
      // The addon wants data behind the statement; a blank is none.
      const result = await this.#insertRaw(this.#session.connection, sql, Buffer.from(' '), false);
      return {
        ...done,
        writtenRows: result.rowsWritten,
        writtenBytes: result.bytesWritten,
        elapsedNs: Math.round(result.elapsed * 1e9),
      };
    });
  }

  async close(): Promise<void> {
    await this.#running;
    this.#session.close();
  }

  #track(start: () => Promise<Success>): Promise<Outcome> {
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
  const { Session: ChdbSession, insertRaw } = loadChdb();
  let root: Session;
  try {
    root = new ChdbSession(dataDir, { connectionArgs: [`--config-file=${configFile}`] });
  } catch (cause) {
    throw openingError(dataDir, cause as Error);
  }
  let name: string[];
  try {
    const answer = await root.queryAsync('SELECT version(), timezone(), hostName()', {
      format: 'TabSeparated',
    });
    name = answer.text().trimEnd().split('\t');
  } catch (cause) {
    root.close();
    throw openingError(dataDir, cause as Error);
  }
  return {
    version: name[0]!,
    timezone: name[1]!,
    displayName: name[2]!,
    connect: () => new ChdbConnection(new ChdbSession(dataDir), insertRaw),
    async close() {
      root.close();
    },
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

/**
 * HTTP sessions: a `session_id` keeps one connection of the engine, with its temporary tables and
 * settings, until it was silent for its timeout.
 *
 * 1. A session runs one statement at a time; a second one is refused, as on a server.
 * 2. There are at most `sessionLimit` sessions; the longest silent one makes room for a new one.
 */
import type { Engine, EngineConnection } from './engine.js';
import { exception } from './exceptions.js';
import type { SessionRequest } from './request.js';

const sessionLimit = 200;

interface Session {
  readonly connection: EngineConnection;
  busy: boolean;
  expiry: NodeJS.Timeout | undefined;
  applied: ReadonlySet<string>;
  /** The last request named a database of its own; the next one that does not goes back to `default`. */
  database: boolean;
}

/** A connection for one statement. */
export interface Lease {
  readonly connection: EngineConnection;
  /** What the session remembers; undefined when the connection is for this statement only. */
  readonly session: { applied: ReadonlySet<string>; database: boolean } | undefined;
  /** Remembers what the statement left set. */
  remember(applied: ReadonlySet<string>, database: boolean): void;
  /** Gives the connection back, or closes it; waits for the statement it runs. */
  release(): Promise<void>;
}

export class Sessions {
  readonly #engine: Engine;
  readonly #sessions = new Map<string, Session>();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  lease(request: SessionRequest | undefined): Lease {
    if (request === undefined) {
      const connection = this.#engine.connect();
      return { connection, session: undefined, remember: () => {}, release: () => connection.close() };
    }
    let session = this.#sessions.get(request.id);
    if (session === undefined) {
      if (request.mustExist)
        throw exception('SESSION_NOT_FOUND', `Session ${request.id.slice(0, 200)} not found`);
      this.#makeRoom();
      session = {
        connection: this.#engine.connect(),
        busy: false,
        expiry: undefined,
        applied: new Set(),
        database: false,
      };
    }
    if (session.busy) {
      throw exception(
        'SESSION_IS_LOCKED',
        `Session ${request.id.slice(0, 200)} is locked by a concurrent client`,
      );
    }
    // Set again, so that the map's order is the order of last use.
    this.#sessions.delete(request.id);
    this.#sessions.set(request.id, session);
    session.busy = true;
    clearTimeout(session.expiry);
    const held = session;
    return {
      connection: held.connection,
      session: held,
      remember: (applied, database) => {
        held.applied = applied;
        held.database = database;
      },
      release: async () => {
        held.busy = false;
        held.expiry = setTimeout(() => this.#drop(request.id, held), request.timeoutMs);
        held.expiry.unref();
      },
    };
  }

  async close(): Promise<void> {
    const open = [...this.#sessions];
    for (const [id, session] of open) this.#forget(id, session);
    await Promise.all(open.map(([, session]) => session.connection.close()));
  }

  #makeRoom(): void {
    if (this.#sessions.size < sessionLimit) return;
    const oldest = [...this.#sessions].find(([, session]) => !session.busy);
    if (oldest === undefined) {
      throw exception('TOO_MANY_SIMULTANEOUS_QUERIES', `Too many sessions: all ${sessionLimit} are busy`);
    }
    this.#drop(...oldest);
  }

  #drop(id: string, session: Session): void {
    this.#forget(id, session);
    void session.connection.close();
  }

  #forget(id: string, session: Session): void {
    clearTimeout(session.expiry);
    if (this.#sessions.get(id) === session) this.#sessions.delete(id);
  }
}

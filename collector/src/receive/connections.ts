/**
 * The HTTP/2 side of the server: how many connections there are, and how much each may send ahead.
 *
 * grpc-js passes neither windows nor header limits on to its servers (1.14 ignores
 * `grpc-node.flow_control_window` there, so uploads would run on windows of 64 KB). It keeps the options
 * and the servers in fields that are not part of its interface; the version is pinned, tests hold the
 * limits, and where the fields are missing the server works without them and says so.
 *
 * Invariants:
 * 1. No more than `connections` connections carry calls. One more is told so and closed; beyond
 *    `spareConnections` more, sockets are closed at once.
 * 2. While reading is stopped, connections are read a few at a time only (valve.ts), a new one once for its handshake,
 *    and one whose client had not taken its answers when it has: Node starts that by itself.
 * 3. The windows of all open calls together are no more than `windowBytes`, as long as the least window for
 *    each call is less than that; clients are told of a smaller window as soon as calls get more.
 */
import {
  constants,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Server } from '@grpc/grpc-js';
import { innerLimits, type ReceiveLimits } from '../limits.js';
import type { Refusal } from './intake.js';
import type { ReadableConnections } from './valve.js';

interface Internals {
  commonServerOptions?: { settings?: Record<string, unknown> };
  http2Servers?: Map<Http2Server, unknown>;
}

/** A socket's handle in Node: HTTP/2 reads from it by itself, and offers no way to have it pause. */
interface SocketHandle {
  readStop(): number;
  readStart(): number;
  /** Bytes that the client has not taken. */
  readonly writeQueueSize: number;
}

export interface ReceiveNotices {
  warn(fields: object, message: string): void;
}

export interface RefusableCall {
  refuse(refusal: Refusal): void;
}

/** A smaller one would cost more frames than it saves memory. */
const leastWindowBytes = 4096;
const { spareConnections, refusedConnectionMs, lingerMs, readAtOnce } = innerLimits.receive;

export class Connections implements ReadableConnections {
  readonly #limits: ReceiveLimits;
  readonly #notices: ReceiveNotices;
  /** The open ones, with the window that each was told. */
  readonly #sessions = new Map<ServerHttp2Session, number>();
  readonly #refused = new WeakSet<ServerHttp2Session>();
  /** Sockets of the open ones, those that are read next first. */
  readonly #handles = new Set<SocketHandle>();
  /** Those that were not read again when the others were. */
  readonly #unread = new Set<SocketHandle>();
  #isStopped = false;
  #windowBytes: number;
  #internals: Internals | undefined;
  #warnedMs = Number.NEGATIVE_INFINITY;

  constructor(limits: ReceiveLimits, notices: ReceiveNotices) {
    this.#limits = limits;
    this.#notices = notices;
    this.#windowBytes = limits.streamWindowBytes;
  }

  get count(): number {
    return this.#sessions.size;
  }

  /** Call before the server is bound. */
  prepare(server: Server): void {
    const internals = server as unknown as Internals;
    const options = internals.commonServerOptions;
    if (options === undefined || internals.http2Servers === undefined) {
      this.#notices.warn(
        {},
        'grpc-js does not let its HTTP/2 servers be reached; uploads are slower, connections unlimited',
      );
      return;
    }
    this.#internals = internals;
    options.settings = {
      ...options.settings,
      initialWindowSize: this.#limits.streamWindowBytes,
      maxHeaderListSize: this.#limits.headerBytes,
    };
  }

  /** Call right after the server was bound. `callOf` tells what grpc-js has made a call of, if it has. */
  attach(callOf: (stream: ServerHttp2Stream) => RefusableCall | undefined): void {
    const { headerBytes } = this.#limits;
    for (const http2Server of this.#internals?.http2Servers?.keys() ?? []) {
      http2Server.maxConnections = this.#limits.connections + spareConnections;
      http2Server.on('session', (session: ServerHttp2Session) => this.#add(session));
      http2Server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
        const call = callOf(stream);
        if (call === undefined) drop(stream);
        // HTTP/2 enforces it only once the client has acknowledged it.
        else if (bytesOf(headers) > headerBytes) {
          call.refuse({
            kind: 'too_large',
            message: `the call's headers have more than ${headerBytes} bytes, which is all that is allowed (receive.headerBytes)`,
          });
        }
      });
    }
  }

  stopReading(): void {
    this.#isStopped = true;
    this.#unread.clear();
    for (const handle of this.#handles) handle.readStop();
  }

  startReading(): void {
    this.#isStopped = false;
    for (const handle of this.#handles) this.#read(handle);
  }

  /** Called several times a second. */
  sweep(): void {
    const unread = [...this.#unread];
    this.#unread.clear();
    for (const handle of unread) this.#read(handle);
  }

  /** Node reads from no client that does not read its answers; what we start it would not stop again. */
  #read(handle: SocketHandle): void {
    if (handle.writeQueueSize > 0) this.#unread.add(handle);
    else handle.readStart();
  }

  readNext(): void {
    const next: SocketHandle[] = [];
    for (const handle of this.#handles) {
      if (next.length === readAtOnce) break;
      next.push(handle);
    }
    for (const handle of next) {
      if (handle.writeQueueSize === 0) handle.readStart();
      // Behind all others.
      this.#handles.delete(handle);
      this.#handles.add(handle);
    }
    // Sockets are read between timers and this.
    setImmediate(() => {
      if (!this.#isStopped) return;
      for (const handle of next) if (this.#handles.has(handle)) handle.readStop();
    });
  }

  /** Whether calls of this stream's connection are to be refused. */
  isRefused(stream: ServerHttp2Stream): boolean {
    const { session } = stream;
    return session !== undefined && this.#refused.has(session as ServerHttp2Session);
  }

  #add(session: ServerHttp2Session): void {
    // The server's own settings hold it.
    this.#sessions.set(session, this.#windowBytes);
    const handle = (session.socket as { _handle?: Partial<SocketHandle> })._handle;
    if (typeof handle?.readStop === 'function' && typeof handle.readStart === 'function') {
      const known = handle as SocketHandle;
      this.#handles.add(known);
      session.once('close', () => {
        this.#handles.delete(known);
        this.#unread.delete(known);
      });
      // It is read once, for its handshake.
      setImmediate(() => setImmediate(() => this.#isStopped && this.#handles.has(known) && known.readStop()));
    } else this.#warn({}, 'Node does not let reading from a connection be stopped; bursts take more memory');
    session.on('localSettings', () => this.#tellWindow(session));
    session.once('close', () => this.#sessions.delete(session));
    session.setLocalWindowSize(this.#limits.connectionWindowBytes);
    if (this.#sessions.size <= this.#limits.connections) return;
    this.#refused.add(session);
    const end = setTimeout(() => session.destroy(), refusedConnectionMs);
    session.once('close', () => clearTimeout(end));
    this.#warn(
      { connections: this.#sessions.size, limit: this.#limits.connections },
      'connections above receive.connections are refused',
    );
  }

  /** Once in a while. */
  #warn(fields: object, message: string): void {
    const nowMs = performance.now();
    if (nowMs - this.#warnedMs < 10_000) return;
    this.#warnedMs = nowMs;
    this.#notices.warn(fields, message);
  }

  /** Shares the windows out again, now that there are `openCalls`. */
  share(openCalls: number): void {
    // A quiet connection's next call gets the window that its connection was told.
    const calls = Math.max(openCalls, this.#sessions.size);
    const { windowBytes, streamWindowBytes } = this.#limits;
    let share = streamWindowBytes;
    while (share > leastWindowBytes && share * calls > windowBytes) share = Math.floor(share / 2);
    share = Math.min(streamWindowBytes, Math.max(leastWindowBytes, share));
    // Wider only when it fits twice, so that it does not change with every call.
    if (share === this.#windowBytes || (share > this.#windowBytes && share * calls * 2 > windowBytes)) return;
    this.#windowBytes = share;
    // A new connection is told at once.
    for (const http2Server of this.#internals?.http2Servers?.keys() ?? []) {
      http2Server.updateSettings({ initialWindowSize: share });
    }
    for (const session of this.#sessions.keys()) this.#tellWindow(session);
  }

  #tellWindow(session: ServerHttp2Session): void {
    // One that has not taken the last setting in is told when it has.
    if (session.closed || session.destroyed || session.pendingSettingsAck) return;
    if (this.#sessions.get(session) === this.#windowBytes) return;
    this.#sessions.set(session, this.#windowBytes);
    session.settings({ initialWindowSize: this.#windowBytes });
  }
}

/** As HTTP/2 counts them (RFC 9113, section 6.5.2). */
function bytesOf(headers: IncomingHttpHeaders): number {
  let bytes = 0;
  for (const [name, value] of Object.entries(headers)) bytes += name.length + String(value).length + 32;
  return bytes;
}

/** Reads and drops what a client sends to a stream that grpc-js has answered by itself (an unknown path, say). */
function drop(stream: ServerHttp2Stream): void {
  stream.resume();
  const end = setTimeout(() => stream.close(constants.NGHTTP2_NO_ERROR), lingerMs);
  stream.once('close', () => clearTimeout(end));
}

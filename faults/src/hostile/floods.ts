/** Clients that send too much, too little or too long, each for a while; none of them gets anything stored. */
import type { ClientHttp2Session } from 'node:http2';
import { gzipSync } from 'node:zlib';
import { pause } from '../rig/deadline.js';
import { framed, hostileCall, openSession } from './hostile-call.js';
import { callHeaders, frame, frameType, headerBlock, RawConnection } from './raw-http2.js';

export interface FloodOptions {
  readonly port: number;
  readonly forMs: number;
  /** How many clients, where it is many that make the flood. */
  readonly clients: number;
}

type Flood = (options: FloodOptions) => Promise<void>;

const MiB = 1024 * 1024;
/** Between two bursts of one connection, so that the flood is the collector's trouble and not this process's. */
const burstPauseMs = 5;

/** Opens calls on several connections, keeps them for a while and tears all down. */
async function hold(
  { port, forMs }: FloodOptions,
  connections: number,
  callsEach: number,
  open: (session: ClientHttp2Session) => void,
): Promise<void> {
  const sessions = Array.from({ length: connections }, () => openSession(port));
  try {
    for (const session of sessions) {
      for (let call = 0; call < callsEach; call++) open(session);
      await pause(1);
    }
    await pause(forMs);
  } finally {
    for (const session of sessions) session.destroy();
  }
}

/** Bursts of frames on one connection after the other: each lives until the collector ends it. */
async function bursts(
  { port, forMs }: FloodOptions,
  burst: (connection: RawConnection) => Buffer,
): Promise<void> {
  const deadline = performance.now() + forMs;
  let connection: RawConnection | undefined;
  while (performance.now() < deadline) {
    if (connection === undefined || connection.isClosed || connection.goaway !== undefined) {
      connection?.close();
      connection = await RawConnection.open(port);
    }
    connection.send(burst(connection));
    await connection.drained();
    await pause(burstPauseMs);
  }
  connection?.close();
}

const repeat = (count: number, bytes: Buffer): Buffer =>
  Buffer.concat(Array.from({ length: count }, () => bytes));

export const floods: Readonly<Record<string, Flood>> = {
  /** Calls that are opened and never used. */
  'half-open calls': (options) =>
    hold(options, Math.ceil(options.clients / 100), 100, (session) => {
      void hostileCall(session, { writes: [], end: 'nothing' });
    }),
  /** A message each, at a byte a second. */
  'slow clients': async (options) => {
    const { port, forMs, clients } = options;
    const connections: RawConnection[] = [];
    const streams: number[] = [];
    try {
      for (let client = 0; client < clients; client++) {
        const connection = await RawConnection.open(port);
        connections.push(connection);
        const stream = connection.openCall();
        streams.push(stream);
        connection.send(frame(frameType.data, 0, stream, Buffer.from([0, 0, 0, 0x10, 0])));
        if (client % 50 === 49) await pause(1);
      }
      const deadline = performance.now() + forMs;
      do {
        for (const [index, connection] of connections.entries()) {
          connection.send(frame(frameType.data, 0, streams[index] as number, Buffer.from([0x0a])));
        }
        await pause(Math.min(1000, forMs));
      } while (performance.now() < deadline);
    } finally {
      for (const connection of connections) connection.close();
    }
  },
  /** Messages of 16 MiB, of which all but the end is sent. */
  'incomplete messages': (options) => {
    const most = framed(Buffer.alloc(MiB, 0x61), 0, 16 * MiB - 1);
    return hold(options, 4, 24, (session) => {
      void hostileCall(session, { writes: [most, Buffer.alloc(MiB, 0x61)], end: 'nothing' });
    });
  },
  /** 16 MiB each when inflated, 16 KiB when sent. */
  'compressed bombs': (options) => {
    const bomb = framed(gzipSync(Buffer.alloc(16 * MiB)), 1);
    return hold(options, 2, 20, (session) => {
      void hostileCall(session, { headers: { 'grpc-encoding': 'gzip' }, writes: [bomb] });
    });
  },
  /** A message in DATA frames of one byte. */
  'one-byte frames': (options) => {
    const streams = new WeakMap<RawConnection, number>();
    return bursts(options, (connection) => {
      let stream = streams.get(connection);
      if (stream === undefined) {
        stream = connection.openCall();
        streams.set(connection, stream);
        connection.send(frame(frameType.data, 0, stream, Buffer.from([0, 0, 0xff, 0xff, 0xff])));
      }
      return repeat(200, frame(frameType.data, 0, stream, Buffer.from([1])));
    });
  },
  /** Calls that are reset as soon as they are opened (CVE-2023-44487). */
  'rapid resets': (options) => {
    const block = headerBlock(callHeaders);
    const cancel = Buffer.from([0, 0, 0, 8]);
    return bursts(options, (connection) =>
      Buffer.concat(
        Array.from({ length: 50 }, () => {
          const stream = connection.nextStream();
          return [frame(frameType.headers, 0x4, stream, block), frame(frameType.reset, 0, stream, cancel)];
        }).flat(),
      ),
    );
  },
  pings: (options) => bursts(options, () => repeat(200, frame(frameType.ping, 0, 0, Buffer.alloc(8)))),
  settings: (options) =>
    bursts(options, () => repeat(200, frame(frameType.settings, 0, 0, Buffer.from([0, 4, 0, 1, 0, 0])))),
  /** Headers without an end (CVE-2024-27983). */
  continuations: (options) => {
    const part = headerBlock([['x-more', 'y'.repeat(200)]]);
    return bursts(options, (connection) => {
      const stream = connection.nextStream();
      return Buffer.concat([
        frame(frameType.headers, 0, stream, headerBlock(callHeaders)),
        repeat(200, frame(frameType.continuation, 0, stream, part)),
      ]);
    });
  },
  /** Connections that come and go, some without a word of HTTP/2. */
  'connection churn': (options) =>
    bursts(options, (connection) => {
      setTimeout(() => connection.close(), burstPauseMs);
      return Buffer.from('GET / HTTP/1.1\r\n\r\n');
    }),
};

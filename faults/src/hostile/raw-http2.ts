/**
 * HTTP/2 by hand, for what no well-behaved client library would send: frames one by one over a socket
 * (RFC 9113, section 4.1), headers as HPACK literals without compression (RFC 7541, section 6.2.2).
 * It answers SETTINGS and PING, and tells how the collector ended the connection.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { paths } from '@sluice/proto';

export const frameType = {
  data: 0,
  headers: 1,
  reset: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const headerBytes = 9;

export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Buffer = Buffer.alloc(0),
): Buffer {
  const bytes = Buffer.alloc(headerBytes + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(stream, 5);
  payload.copy(bytes, headerBytes);
  return bytes;
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1');
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  const length: number[] = [127];
  let rest = bytes.length - 127;
  for (; rest >= 128; rest = Math.floor(rest / 128)) length.push((rest % 128) + 128);
  return Buffer.concat([Buffer.from([...length, rest]), bytes]);
}

/** A header block of literals that the receiver does not remember. */
export function headerBlock(headers: readonly (readonly [name: string, value: string])[]): Buffer {
  return Buffer.concat(headers.flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]));
}

export const callHeaders: readonly (readonly [string, string])[] = [
  [':method', 'POST'],
  [':scheme', 'http'],
  [':path', paths.log],
  [':authority', 'localhost'],
  ['te', 'trailers'],
  ['content-type', 'application/grpc'],
];

export class RawConnection {
  readonly #socket: Socket;
  readonly #answersFrames: boolean;
  #received: Buffer = Buffer.alloc(0);
  #nextStream = 1;
  /** Error code of the GOAWAY that the collector sent, if it did. */
  goaway: number | undefined;
  /** Streams that the collector has reset. */
  resets = 0;
  isClosed = false;

  private constructor(socket: Socket, answersFrames: boolean) {
    this.#socket = socket;
    this.#answersFrames = answersFrames;
    socket.on('data', (bytes: Buffer) => this.#read(bytes));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.isClosed = true;
    });
  }

  /** @param answersFrames whether it acknowledges SETTINGS and PING, as a client must */
  static async open(port: number, answersFrames = true): Promise<RawConnection> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    const connection = new RawConnection(socket, answersFrames);
    await once(socket, 'connect');
    connection.send(Buffer.concat([preface, frame(frameType.settings, 0, 0)]));
    return connection;
  }

  /** Whether the socket has taken it; if not, `drained` tells when it has. */
  send(bytes: Buffer): boolean {
    return this.isClosed || this.#socket.destroyed ? true : this.#socket.write(bytes);
  }

  /** Resolves when the socket has taken what was sent, is closed, or after `mostMs`: not all are read. */
  drained(mostMs = 100): Promise<void> {
    if (this.isClosed || !this.#socket.writableNeedDrain) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(() => done(), mostMs);
      const done = (): void => {
        clearTimeout(timer);
        this.#socket.off('drain', done);
        this.#socket.off('close', done);
        resolve();
      };
      this.#socket.on('drain', done);
      this.#socket.on('close', done);
    });
  }

  nextStream(): number {
    const id = this.#nextStream;
    this.#nextStream += 2;
    return id;
  }

  /** Opens a call, with its headers only; returns the stream's number. */
  openCall(headers = callHeaders): number {
    const id = this.nextStream();
    this.send(frame(frameType.headers, 0x4, id, headerBlock(headers)));
    return id;
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(bytes: Buffer): void {
    this.#received = this.#received.length === 0 ? bytes : Buffer.concat([this.#received, bytes]);
    let at = 0;
    while (this.#received.length - at >= headerBytes) {
      const length = this.#received.readUIntBE(at, 3);
      if (this.#received.length - at < headerBytes + length) break;
      const payload = this.#received.subarray(at + headerBytes, at + headerBytes + length);
      this.#onFrame(this.#received[at + 3] as number, this.#received[at + 4] as number, payload);
      at += headerBytes + length;
    }
    this.#received = this.#received.subarray(at);
  }

  #onFrame(type: number, flags: number, payload: Buffer): void {
    if (type === frameType.goaway) this.goaway ??= payload.readUInt32BE(4);
    else if (type === frameType.reset) this.resets++;
    else if (!this.#answersFrames || (flags & 1) === 1) return;
    else if (type === frameType.settings) this.send(frame(frameType.settings, 1, 0));
    else if (type === frameType.ping) this.send(frame(frameType.ping, 1, 0, payload));
  }
}

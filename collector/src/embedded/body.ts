/**
 * The body of a request, decompressed: what the statement is, and where the data of an INSERT went.
 *
 * 1. Data of an INSERT goes to a file; anything else stays in memory, up to `queryBytes`.
 * 2. A body that is cut short, that is not what Content-Encoding says, or that stalls is no body:
 *    reading it throws and its file is removed, so nothing of it is inserted.
 */
import type { IncomingMessage } from 'node:http';
import { pipeline, type Readable } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import { Exception, exception } from './exceptions.js';
import type { BodyFile, HandedBodies } from './handed-body.js';
import type { Encoding, StatementRequest } from './request.js';
import type { Spool, SpoolFile } from './spool.js';
import { classify, type Statement } from './statement.js';

export interface ReceivedStatement {
  readonly statement: Statement;
  /** The SQL; for an INSERT with data, its head. */
  readonly text: Buffer;
  /** The data of an INSERT; the receiver of this removes it. */
  readonly data: BodyFile | undefined;
}

export type Decoder = (body: IncomingMessage, encoding: 'zstd' | 'lz4') => AsyncIterable<Buffer>;

/** Enough for the head of any INSERT; only a statement with a longer head is held in memory first. */
const headBytes = 256 * 1024;

/** An INSERT whose data lies in a file already; the statement is in the URL, and the body is empty. */
export async function receiveHanded(
  request: StatementRequest,
  body: AsyncIterable<Buffer>,
  handed: { name: string; bodies: HandedBodies },
): Promise<ReceivedStatement> {
  const text = Buffer.from(`${request.query}\n`);
  const statement = classify(text.toString('latin1'));
  if (statement.kind !== 'insert') {
    throw exception('BAD_ARGUMENTS', 'only an INSERT with a FORMAT can have its data handed over');
  }
  let bytes = text.toString('latin1', statement.dataStart).trim().length;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > 0) break;
  }
  if (bytes > 0) {
    throw exception(
      'BAD_ARGUMENTS',
      'an INSERT has data of its own, and names a handed body: which of them is meant cannot be told',
    );
  }
  return { statement, text, data: await handed.bodies.find(handed.name) };
}

export async function receive(
  request: StatementRequest,
  body: AsyncIterable<Buffer>,
  options: { spool: Spool; queryBytes: number },
): Promise<ReceivedStatement> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  const hold = (chunk: Buffer): void => {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > options.queryBytes) {
      throw exception(
        'QUERY_IS_TOO_LARGE',
        `The statement has more than ${options.queryBytes} bytes, which is what is allowed (embedded.queryBytes)`,
      );
    }
  };
  // The statement is the URL's part, a line break, and the body, as in ClickHouse.
  if (request.query !== '') hold(Buffer.from(`${request.query}\n`));
  let lookAt = request.query === '' ? headBytes : 0;
  let file: SpoolFile | undefined;
  let head: { statement: Statement; text: Buffer } | undefined;
  try {
    for await (const chunk of body) {
      if (file !== undefined) {
        await file.append(chunk);
        continue;
      }
      hold(chunk);
      if (bytes < lookAt) continue;
      lookAt = Math.max(headBytes, bytes * 2);
      const text = Buffer.concat(chunks);
      const statement = classify(text.toString('latin1'));
      if (statement.kind !== 'insert') continue;
      file = await options.spool.create();
      head = { statement, text };
      await file.append(text.subarray(statement.dataStart));
    }
    if (file === undefined || head === undefined) {
      const text = Buffer.concat(chunks);
      const statement = classify(text.toString('latin1'));
      if (statement.kind !== 'insert') return { statement, text, data: undefined };
      file = await options.spool.create();
      head = { statement, text };
      await file.append(text.subarray(statement.dataStart));
    }
    await file.close();
    return { ...head, data: file };
  } catch (error) {
    await file?.remove();
    throw error;
  }
}

/** The request's body, decompressed, each chunk within `idleMs` of the one before. */
export async function* bodyOf(
  message: IncomingMessage,
  encoding: Encoding | undefined,
  options: { idleMs: number; decode: Decoder },
): AsyncGenerator<Buffer, void, undefined> {
  const { socket } = message;
  const stalled = (): void => {
    message.destroy(
      exception(
        'SOCKET_TIMEOUT',
        `Nothing of the request's body came for ${options.idleMs} ms (embedded.requestIdleMs)`,
      ),
    );
  };
  socket.setTimeout(options.idleMs, stalled);
  try {
    if (encoding === undefined) yield* chunksOf(message);
    else if (encoding === 'zstd' || encoding === 'lz4') yield* options.decode(message, encoding);
    else yield* inflated(message, encoding);
    if (!message.complete) throw exception('NETWORK_ERROR', 'The body of the request was cut short');
  } catch (cause) {
    if (cause instanceof Exception) throw cause;
    const what = encoding === undefined ? 'The body of the request' : `The body of the request (${encoding})`;
    throw exception('BAD_ARGUMENTS', `${what} cannot be read: ${(cause as Error).message}`, cause);
  } finally {
    socket.setTimeout(0);
    socket.removeListener('timeout', stalled);
  }
}

function inflated(message: IncomingMessage, encoding: 'gzip' | 'deflate' | 'br'): AsyncIterable<Buffer> {
  const decoder =
    encoding === 'gzip'
      ? createGunzip()
      : encoding === 'deflate'
        ? createInflate()
        : createBrotliDecompress();
  // The error reaches whoever iterates over the decoder.
  return chunksOf(pipeline(message, decoder, () => {}));
}

/** Leaving early must not destroy the stream: with the request goes its socket, and the answer with it. */
export function chunksOf(stream: Readable): AsyncIterable<Buffer> {
  return stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
}

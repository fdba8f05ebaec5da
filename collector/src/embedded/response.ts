/**
 * Answers as ClickHouse gives them: content types, the X-ClickHouse headers, exceptions before and
 * after the headers are out.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { Engine, Success } from './engine.js';
import { type Exception, httpStatusOf } from './exceptions.js';

/** What identifies the server and the statement in every answer. */
export interface Identity {
  readonly engine: Pick<Engine, 'version' | 'timezone' | 'displayName'>;
  readonly queryId: string;
}

export interface Reply {
  readonly body: Buffer;
  readonly format: string | undefined;
  readonly encoding?: string | undefined;
  readonly outcome: Success;
}

const contentTypes: readonly (readonly [RegExp, string])[] = [
  [/^(TabSeparated|TSV)/, 'text/tab-separated-values; charset=UTF-8'],
  [/^CSV.*WithNames/, 'text/csv; charset=UTF-8; header=present'],
  [/^CSV/, 'text/csv; charset=UTF-8; header=absent'],
  [/^(JSON\w*EachRow\w*|JSONLines|NDJSON)$/, 'application/x-ndjson; charset=UTF-8'],
  [/^JSON/, 'application/json; charset=UTF-8'],
  [/^XML$/, 'application/xml; charset=UTF-8'],
  [
    /^(Native|RowBinary\w*|Parquet|Arrow\w*|ORC|Avro|MsgPack|Protobuf\w*|CapnProto|Npy|BSONEachRow)$/,
    'application/octet-stream',
  ],
];

export function contentTypeOf(format: string): string {
  return contentTypes.find(([pattern]) => pattern.test(format))?.[1] ?? 'text/plain; charset=UTF-8';
}

function summaryOf(outcome: Success): string {
  return JSON.stringify({
    read_rows: String(outcome.resultRows),
    read_bytes: String(outcome.resultBytes),
    written_rows: String(outcome.writtenRows),
    written_bytes: String(outcome.writtenBytes),
    total_rows_to_read: '0',
    result_rows: String(outcome.resultRows || outcome.writtenRows),
    result_bytes: String(outcome.resultBytes || outcome.writtenBytes),
    elapsed_ns: String(outcome.elapsedNs),
  });
}

function identify(response: ServerResponse, identity: Identity): void {
  response.setHeader('X-ClickHouse-Server-Display-Name', identity.engine.displayName);
  response.setHeader('X-ClickHouse-Timezone', identity.engine.timezone);
  // A header must not carry what a URL may: line breaks and the like.
  response.setHeader('X-ClickHouse-Query-Id', identity.queryId.replace(/[^\x20-\x7e]/g, '?'));
}

function describe(response: ServerResponse, format: string | undefined, encoding: string | undefined): void {
  response.setHeader('Content-Type', contentTypeOf(format ?? ''));
  if (format !== undefined) response.setHeader('X-ClickHouse-Format', format);
  if (encoding !== undefined) response.setHeader('Content-Encoding', encoding);
}

/** A whole answer, whose outcome is known. */
export function sendReply(response: ServerResponse, identity: Identity, reply: Reply): void {
  identify(response, identity);
  describe(response, reply.format, reply.encoding);
  response.setHeader('X-ClickHouse-Summary', summaryOf(reply.outcome));
  response.setHeader('Content-Length', reply.body.length);
  response.end(reply.body);
}

export function exceptionText(identity: Identity, exception: Exception): string {
  const text = exception.message.replace(/\s*$/, '');
  const version = `(version ${identity.engine.version} (official build))`;
  return `${text.replace(/ \(version [^()]*(\([^()]*\))?\)\.?$/, '')} ${version}\n`;
}

export function sendException(response: ServerResponse, identity: Identity, exception: Exception): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  identify(response, identity);
  const body = Buffer.from(exceptionText(identity, exception));
  response.statusCode = httpStatusOf(exception.exceptionCode);
  response.setHeader('X-ClickHouse-Exception-Code', exception.exceptionCode);
  response.setHeader('Content-Type', 'text/plain; charset=UTF-8');
  response.setHeader('Content-Length', body.length);
  // What is left of the body is not read: the connection cannot serve another request.
  if (!response.req.complete) response.setHeader('Connection', 'close');
  response.end(body);
}

/** An answer that is larger than what is held back, sent while the statement runs. */
export class StreamedReply {
  readonly #response: ServerResponse;
  readonly #identity: Identity;
  readonly #encoding: string | undefined;
  readonly #idleMs: number;
  // Clients look for the tag, so that no data can be mistaken for an exception.
  readonly #tag = randomBytes(8).toString('hex');

  constructor(
    response: ServerResponse,
    identity: Identity,
    options: { format: string; encoding: string | undefined; idleMs: number },
  ) {
    this.#response = response;
    this.#identity = identity;
    this.#encoding = options.encoding;
    this.#idleMs = options.idleMs;
    identify(response, identity);
    describe(response, options.format, options.encoding);
    response.setHeader('X-ClickHouse-Exception-Tag', this.#tag);
    // A client that takes nothing for this long is gone.
    response.socket?.setTimeout(options.idleMs, () => response.destroy());
  }

  /** Resolves when the client has room for more; rejects when it is gone. */
  async write(chunk: Buffer): Promise<void> {
    if (this.#response.destroyed) throw new Error('the client is gone');
    if (this.#response.write(chunk)) return;
    const gone = new AbortController();
    const close = (): void => gone.abort();
    this.#response.once('close', close);
    try {
      await once(this.#response, 'drain', { signal: gone.signal });
    } finally {
      this.#response.removeListener('close', close);
    }
  }

  end(): void {
    this.#response.socket?.setTimeout(0);
    this.#response.end();
  }

  /** Ends the answer so that no client takes it for whole: ClickHouse's marker, and no last chunk. */
  fail(exception: Exception): void {
    if (this.#encoding === undefined && !this.#response.destroyed) {
      const text = exceptionText(this.#identity, exception);
      const length = Buffer.byteLength(text);
      const marker = `\r\n__exception__\r\n${this.#tag}\r\n${text}${length} ${this.#tag}\r\n__exception__\r\n`;
      this.#response.write(marker, () => this.#response.destroy());
      this.#response.socket?.setTimeout(this.#idleMs, () => this.#response.destroy());
      return;
    }
    this.#response.destroy();
  }
}

/**
 * Stands between the collector and the store, and does with each request what a scenario says.
 * Bodies are held whole: a batch of small segments is small.
 */
import { once } from 'node:events';
import {
  createServer,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ProxyAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

/** One request of the collector. */
export class Exchange {
  readonly kind: 'insert' | 'in-doubt' | 'other';
  /** The table of an INSERT or of an in-doubt question. */
  readonly table: string;
  readonly body: Buffer;
  readonly #path: string;
  readonly #storeUrl: URL;
  readonly #response: ServerResponse;
  #batchId: string | undefined;

  constructor(request: IncomingMessage, body: Buffer, response: ServerResponse, storeUrl: URL) {
    const search = new URL(request.url ?? '/', storeUrl).searchParams;
    this.#path = request.url ?? '/';
    this.#storeUrl = storeUrl;
    this.#response = response;
    this.body = body;
    const insert = /^INSERT INTO (\w+)/.exec(search.get('query') ?? '');
    // Whether one batch is in its table; or, after a start, what is in the tables of one segment.
    const asked = search.get('param_batch') ?? search.get('param_id');
    this.#batchId = asked?.slice(0, uuidLength);
    this.kind = insert !== null ? 'insert' : asked !== null ? 'in-doubt' : 'other';
    this.table = insert?.[1] ?? /FROM (\w+) WHERE/.exec(body.toString('utf8'))?.[1] ?? '';
  }

  /** The batch of an INSERT or of an in-doubt question, from the data itself: a token may be wrong. */
  get batchId(): string {
    this.#batchId ??= lastUuid7(this.body);
    return this.#batchId;
  }

  get isClientGone(): boolean {
    return this.#response.destroyed || this.#response.socket?.destroyed === true;
  }

  /** Sends it on, or something else in its place, and reads the store's answer. Rejects if there is none. */
  forward(body: Buffer = this.body): Promise<ProxyAnswer> {
    return send(this.#storeUrl, this.#path, body, body.length);
  }

  /** Promises the whole body, sends the first `bytes` of it, and breaks the connection. */
  async forwardCut(bytes: number): Promise<void> {
    await send(this.#storeUrl, this.#path, this.body.subarray(0, bytes), this.body.length).catch(() => {});
  }

  answer({ status, headers, body }: ProxyAnswer): void {
    if (this.isClientGone) return;
    this.#response.writeHead(status, headers as IncomingHttpHeaders);
    this.#response.end(body);
  }

  /** Breaks the connection to the collector without an answer. */
  cut(): void {
    this.#response.destroy();
  }

  /** Resolves once the collector has given up waiting. */
  async clientGone(): Promise<void> {
    if (!this.isClientGone) await once(this.#response, 'close');
  }

  /** As if the proxy were not there. */
  async pass(): Promise<ProxyAnswer | undefined> {
    let answer: ProxyAnswer;
    try {
      answer = await this.forward();
    } catch {
      this.answer(badGateway);
      return undefined;
    }
    this.answer(answer);
    return answer;
  }
}

export const badGateway: ProxyAnswer = { status: 502, headers: {}, body: Buffer.from('bad gateway') };

/** An exception behind a status that had gone out before it happened. */
export const exceptionInBody: ProxyAnswer = {
  status: 200,
  // ClickHouse has sent its headers by the time something goes wrong.
  headers: { 'x-clickhouse-query-id': 'faults' },
  body: Buffer.from('Code: 159. DB::Exception: Timeout exceeded: elapsed 1 s. (TIMEOUT_EXCEEDED)'),
};

export class StoreProxy {
  /** What happens to each request; may be changed at any time. */
  onExchange: (exchange: Exchange) => Promise<unknown> = (exchange) => exchange.pass();
  readonly #server: Server;
  readonly #storeUrl: URL;

  constructor(storeUrl: string) {
    this.#storeUrl = new URL(storeUrl);
    this.#server = createServer({ keepAliveTimeout: 10_000 }, (request, response) => {
      void this.#serve(request, response);
    });
  }

  async start(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', () => {});
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer);
    } catch {
      // The collector was killed while it sent.
      return;
    }
    const exchange = new Exchange(request, Buffer.concat(chunks), response, this.#storeUrl);
    try {
      await this.onExchange(exchange);
    } catch {
      exchange.cut();
    }
  }
}

/** `promised` bytes in the header; if fewer are sent, the connection is broken behind them. */
function send(storeUrl: URL, path: string, body: Buffer, promised: number): Promise<ProxyAnswer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      {
        host: storeUrl.hostname,
        port: storeUrl.port,
        path,
        method: 'POST',
        headers: { 'content-length': promised },
        // A connection of its own: one that the store closes meanwhile would be an ambiguity nobody planned.
        agent: false,
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const headers = Object.fromEntries(
            Object.entries(response.headers).filter(
              ([name]) => name.startsWith('x-clickhouse') || name === 'content-type',
            ),
          );
          resolve({ status: response.statusCode ?? 0, headers, body: Buffer.concat(chunks) });
        });
      },
    );
    request.on('error', reject);
    if (promised === body.length) request.end(body);
    else request.write(body, () => request.destroy(new Error('cut')));
  });
}

const uuidLength = 36;
const uuid7 = /[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g;

/** A block names its batch in its last column, a row of the ledger in its last field but the times. */
function lastUuid7(body: Buffer): string {
  const text = body.toString('latin1');
  const inField = /"batch_id":"([0-9a-f-]{36})/.exec(text);
  return inField?.[1] ?? text.match(uuid7)?.at(-1) ?? '';
}

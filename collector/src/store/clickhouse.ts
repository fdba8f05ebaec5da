/**
 * One HTTP request to ClickHouse and what became of it. `undici` sends Buffers as they are; the
 * connection is closed by us before the server closes it under a request.
 */
import { Pool } from 'undici';
import { isPlanted } from '../fault-points.js';
import type { StoreLimits } from '../limits.js';
import { type HandedBody, Handover, isLoopback, type Offer } from './handover.js';
import { isRefusedForGood } from './refusals.js';

export interface StoreAddress {
  /** Such as http://127.0.0.1:8123. User and password may stand in it. */
  readonly url: string;
  readonly database: string;
}

export type StoreAnswer =
  | {
      readonly kind: 'ok';
      readonly text: string;
      /** What ClickHouse says of it in X-ClickHouse-Summary; undefined if it says nothing. */
      readonly writtenRows: number | undefined;
    }
  /** ClickHouse answered with an exception. */
  | {
      readonly kind: 'exception';
      readonly code: number;
      readonly message: string;
      readonly httpStatus: number;
    }
  /** No answer that can be trusted: the statement may have been carried out or not. */
  | { readonly kind: 'unknown'; readonly problem: string };

export interface StoreRequest {
  readonly query: string;
  readonly settings?: Readonly<Record<string, string | number>>;
  readonly parameters?: Readonly<Record<string, string>>;
  /** The data of an INSERT. */
  readonly body?: readonly Buffer[];
  /** The body goes with the request itself, and not as a file. */
  readonly isSent?: boolean;
  readonly timeoutMs: number;
}

export class ClickHouse {
  readonly #address: StoreAddress;
  readonly #pool: Pool;
  readonly #path: string;
  readonly #headers: Record<string, string>;
  /** To an embedded store on this machine; it is found out whether there is one. */
  readonly #handover: Handover | undefined;

  constructor(address: StoreAddress, limits: StoreLimits) {
    const url = new URL(address.url);
    this.#address = address;
    this.#path = url.pathname === '' ? '/' : url.pathname;
    this.#headers = { 'user-agent': 'sluice' };
    if (url.username !== '') {
      const user = decodeURIComponent(url.username);
      const password = decodeURIComponent(url.password);
      this.#headers['authorization'] = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
    }
    this.#pool = new Pool(url.origin, {
      connections: limits.segmentsInFlight + 2,
      pipelining: 1,
      keepAliveTimeout: limits.keepAliveMs,
      keepAliveMaxTimeout: limits.keepAliveMs,
      connect: { timeout: 10_000 },
    });
    if (isLoopback(url)) this.#handover = new Handover(() => this.#askForOffer(limits.queryTimeoutMs));
  }

  async send(request: StoreRequest): Promise<StoreAnswer> {
    const { body } = request;
    const handover = this.#handover;
    if (body === undefined || handover === undefined || request.isSent === true) return this.#send(request);
    const bytes = body.reduce((sum, chunk) => sum + chunk.length, 0);
    const handed = await handover.take(body, bytes);
    if (handed === undefined) return this.#send(request);
    const answer = await this.#send(request, handed);
    if (answer.kind === 'ok' && !((answer.writtenRows ?? 0) > 0)) {
      // Somebody on the way may have dropped the parameter: an INSERT without a body inserts nothing, and
      // ClickHouse calls that a success.
      handover.lost(handed);
      return {
        kind: 'unknown',
        problem: `a handed INSERT of ${bytes} bytes was answered with 200 and ${answer.writtenRows ?? 'no number of'} rows; does something between drop parameters of the URL?`,
      };
    }
    // Any other exception may mean that the store has no such file, or is no embedded store any more. The block may be in
    // the table all the same: whoever tries again asks for the batch first, and sends its data.
    const wasRead = answer.kind === 'ok' || (answer.kind === 'exception' && isRefusedForGood(answer.code));
    if (wasRead) handover.done(handed);
    else handover.lost(handed);
    return answer;
  }

  async #send(request: StoreRequest, handed?: HandedBody): Promise<StoreAnswer> {
    const search = new URLSearchParams({ database: this.#address.database, wait_end_of_query: '1' });
    for (const [name, value] of Object.entries(request.settings ?? {})) search.set(name, String(value));
    for (const [name, value] of Object.entries(request.parameters ?? {})) search.set(`param_${name}`, value);
    const headers = { ...this.#headers };
    let body: string | AsyncIterable<Buffer> = request.query;
    if (handed !== undefined) {
      search.set('query', request.query);
      search.set('sluice_handed_body', handed.parameter);
      body = '';
    } else if (request.body !== undefined) {
      search.set('query', request.query);
      headers['content-length'] = String(request.body.reduce((sum, chunk) => sum + chunk.length, 0));
      body = iterate(request.body);
    }
    try {
      const response = await this.#pool.request({
        method: 'POST',
        path: `${this.#path}?${search.toString()}`,
        headers,
        body: body as string,
        headersTimeout: request.timeoutMs,
        bodyTimeout: request.timeoutMs,
      });
      const text = await response.body.text();
      return readAnswer(response.statusCode, response.headers, text);
    } catch (error) {
      return { kind: 'unknown', problem: describe(error) };
    }
  }

  async #askForOffer(timeoutMs: number): Promise<Offer | undefined> {
    const response = await this.#pool.request({
      method: 'GET',
      path: '/sluice/handover',
      headers: this.#headers,
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
    });
    const text = await response.body.text();
    if (response.statusCode !== 200) return undefined;
    const offer = JSON.parse(text) as Partial<Record<keyof Offer, unknown>>;
    const { directory, proofFile, proof } = offer;
    const isOffer = [directory, proofFile, proof].every((part) => typeof part === 'string');
    return isOffer ? (offer as Offer) : undefined;
  }

  async close(): Promise<void> {
    this.#handover?.close();
    await this.#pool.destroy();
  }
}

async function* iterate(chunks: readonly Buffer[]): AsyncIterable<Buffer> {
  yield* chunks;
}

function readAnswer(
  status: number,
  headers: Record<string, string | string[] | undefined>,
  text: string,
): StoreAnswer {
  const exception = headers['x-clickhouse-exception-code'];
  const inBody = /^(?:__exception__\r?\n)?Code: (\d+)\. DB::Exception: /m.exec(text);
  const code = exception !== undefined ? Number(exception) : inBody !== null ? Number(inBody[1]) : undefined;
  if (code !== undefined && !(status === 200 && isPlanted('believe-status-200')))
    return {
      kind: 'exception',
      code,
      message: text.trim().slice(0, 4000).toWellFormed(),
      httpStatus: status,
    };
  // A proxy's word, not ClickHouse's: what stands behind it may have done its work.
  if (status !== 200) return { kind: 'unknown', problem: `HTTP ${status}: ${text.trim().slice(0, 500)}` };
  // Somebody between us and ClickHouse may answer 200 in its place, as with a page that says "back soon".
  if (!Object.keys(headers).some((name) => name.startsWith('x-clickhouse-'))) {
    return {
      kind: 'unknown',
      problem: `HTTP 200 without a header of ClickHouse's; is another server behind this URL? It says: ${text.trim().slice(0, 300)}`,
    };
  }
  return { kind: 'ok', text, writtenRows: writtenRowsOf(headers['x-clickhouse-summary']) };
}

function writtenRowsOf(summary: string | string[] | undefined): number | undefined {
  if (typeof summary !== 'string') return undefined;
  const rows = /"written_rows":\s*"?(\d+)/.exec(summary)?.[1];
  return rows === undefined ? undefined : Number(rows);
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error && typeof error.code === 'string' ? `${error.code}: ` : '';
  const cause = error.cause instanceof Error ? ` (${error.cause.message})` : '';
  return `${code}${error.message}${cause}`;
}

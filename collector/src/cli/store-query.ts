/**
 * One statement sent to a store, its answer as a stream of bytes. An answer that breaks off with an
 * exception ends in that exception, not in a short result.
 */
import { Agent, request } from 'undici';
import { SluiceError } from '../errors.js';
import { CommandFailure } from './failure.js';
import { shownUrl } from './settings.js';

export interface StoreQuery {
  readonly url: string;
  readonly database: string;
  readonly sql: string;
  /** If the statement names no format itself. */
  readonly defaultFormat: string;
  readonly parameters?: Readonly<Record<string, string>>;
  readonly settings?: Readonly<Record<string, string | number>>;
}

const connectMs = 10_000;
/** An exception after the headers stands at the end of the answer, in ClickHouse at most 16 KiB of it. */
const tailBytes = 20 * 1024;

export async function* queryStore(query: StoreQuery): AsyncGenerator<Buffer> {
  const url = new URL(query.url);
  const headers: Record<string, string> = { 'user-agent': 'sluice' };
  if (url.username !== '') {
    const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
    headers['authorization'] = `Basic ${Buffer.from(credentials).toString('base64')}`;
  }
  const search = new URLSearchParams({ database: query.database, default_format: query.defaultFormat });
  for (const [name, value] of Object.entries(query.settings ?? {})) search.set(name, String(value));
  for (const [name, value] of Object.entries(query.parameters ?? {}))
    search.set(`param_${name}`, escapeParameter(value));
  // A query may compute for as long as it wants before its first byte.
  const dispatcher = new Agent({ connect: { timeout: connectMs }, headersTimeout: 0, bodyTimeout: 0 });
  try {
    const answer = await request(`${url.origin}${url.pathname}?${search.toString()}`, {
      method: 'POST',
      headers,
      body: query.sql,
      dispatcher,
    });
    if (answer.statusCode !== 200)
      throw refusal(query.url, answer.statusCode, answer.headers, await answer.body.text());
    const tag = answer.headers['x-clickhouse-exception-tag'];
    yield* withoutException(answer.body, typeof tag === 'string' ? tag : undefined);
  } catch (error) {
    if (error instanceof CommandFailure || error instanceof SluiceError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    const problem = message.includes(code ?? '') ? message : `${code}: ${message}`;
    throw new SluiceError(
      'store_unavailable',
      `the store at ${shownUrl(query.url)} cannot be reached or broke off (${problem}). ` +
        'Start one (npx sluice up) or give the URL of one with --store URL or SLUICE_STORE_URL.',
      { cause: error },
    );
  } finally {
    // Not awaited: a reader that has enough must not wait for the rest.
    void dispatcher.destroy();
  }
}

function refusal(url: string, status: number, headers: Record<string, unknown>, text: string): Error {
  if (headers['x-clickhouse-exception-code'] !== undefined || text.startsWith('Code: '))
    return new CommandFailure(text.trim());
  return new SluiceError(
    'store_unavailable',
    `${shownUrl(url)} answers with HTTP ${status} and not as ClickHouse does: ${text.trim().slice(0, 200)}. ` +
      'Give the HTTP address of a store with --store URL.',
  );
}

/** Holds back the last bytes until it is known that they are not an exception. */
export async function* withoutException(
  body: AsyncIterable<Buffer>,
  tag: string | undefined,
): AsyncGenerator<Buffer> {
  const held: Buffer[] = [];
  let bytes = 0;
  let broken: { readonly error: unknown } | undefined;
  const chunks = body[Symbol.asyncIterator]();
  for (;;) {
    let next: IteratorResult<Buffer>;
    try {
      next = await chunks.next();
    } catch (error) {
      // An answer with an exception has no proper end: the connection is closed behind it.
      broken = { error };
      break;
    }
    if (next.done === true) break;
    held.push(next.value);
    bytes += next.value.length;
    while (held.length > 1 && bytes - (held[0] as Buffer).length >= tailBytes) {
      const first = held.shift() as Buffer;
      bytes -= first.length;
      yield first;
    }
  }
  const tail = Buffer.concat(held);
  const marker = tag === undefined ? '\r\n__exception__\r\n' : `\r\n__exception__\r\n${tag}\r\n`;
  const at = tail.lastIndexOf(marker);
  yield at === -1 ? tail : tail.subarray(0, at);
  if (at !== -1) {
    const text = tail.subarray(at + marker.length).toString('utf8');
    throw new CommandFailure(text.replace(/\r?\n?\d+ \w+\r\n__exception__\r\n$/, '').trim());
  }
  if (broken !== undefined) throw broken.error;
}

/** Values of parameters travel in the TabSeparated format. */
function escapeParameter(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('\t', '\\t').replaceAll('\n', '\\n');
}

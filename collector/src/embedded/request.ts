/**
 * An HTTP request as ClickHouse understands it: parameters, headers, credentials. Pure; the body is
 * read elsewhere.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { exception } from './exceptions.js';
import { handedBodyParameter } from './handed-body.js';

/** How a body or a result is compressed on the way. */
export type Encoding = 'gzip' | 'deflate' | 'br' | 'zstd' | 'lz4';

export interface SessionRequest {
  readonly id: string;
  readonly timeoutMs: number;
  /** `session_check=1`: the session must exist already. */
  readonly mustExist: boolean;
}

export interface StatementRequest {
  readonly queryId: string;
  /** The part of the statement that stands in the URL; the body follows after a line break. */
  readonly query: string;
  /** GET and HEAD change nothing. */
  readonly readOnly: boolean;
  readonly database: string | undefined;
  readonly defaultFormat: string;
  readonly settings: ReadonlyMap<string, string>;
  readonly parameters: ReadonlyMap<string, string>;
  /** Names the file that holds the data of an INSERT, which then has no body. */
  readonly handedBody: string | undefined;
  readonly session: SessionRequest | undefined;
  readonly requestEncoding: Encoding | undefined;
  readonly responseEncoding: Encoding | undefined;
  /** What the client understands of Native; 0: nothing newer than the engine writes. */
  readonly protocolVersion: number;
}

// What concerns the conversation and not the statement. Some are settings of the engine as well; none
// of them means anything to it here.
const transport = new Set([
  ...['query', 'query_id', 'database', 'default_format', 'session_id', 'session_timeout', 'session_check'],
  ...['close_session', 'user', 'password', 'quota_key', 'role', 'compress', 'decompress', 'stacktrace'],
  ...['buffer_size', 'http_response_buffer_size', 'wait_end_of_query', 'http_wait_end_of_query'],
  ...['send_progress_in_http_headers', 'http_headers_progress_interval_ms', 'enable_http_compression'],
  ...['client_protocol_version', 'add_http_cors_header', 'cancel_http_readonly_queries_on_client_close'],
  ...['http_zlib_compression_level', 'network_compression_method', 'log_queries'],
  handedBodyParameter,
]);
const encodings: readonly Encoding[] = ['zstd', 'lz4', 'gzip', 'br', 'deflate'];
/** ClickHouse's own default and maximum, in seconds. */
const sessionTimeoutSeconds = { normal: 60, most: 3600 };

function header(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function isOn(value: string | null | undefined): boolean {
  return value === '1' || value === 'true';
}

/** Throws an Exception when the request cannot be served. `fields` are those of a multipart body. */
export function parseRequest(request: {
  method: string;
  parameters: URLSearchParams;
  headers: IncomingHttpHeaders;
  fields?: ReadonlyMap<string, string>;
}): StatementRequest {
  const { method, headers } = request;
  const given = new Map([...request.parameters, ...(request.fields ?? [])]);
  if (isOn(given.get('compress')) || isOn(given.get('decompress'))) {
    throw exception(
      'NOT_IMPLEMENTED',
      "the embedded store does not serve ClickHouse's own block compression (compress=1, decompress=1); " +
        'use HTTP compression: Content-Encoding, or enable_http_compression=1 with Accept-Encoding ' +
        `(${encodings.join(', ')})`,
    );
  }
  const settings = new Map<string, string>();
  const parameters = new Map<string, string>();
  for (const [name, value] of given) {
    if (name.startsWith('param_')) parameters.set(checkedName(name.slice(6), 'parameter'), value);
    else if (!transport.has(name)) settings.set(checkedName(name, 'setting'), value);
  }
  return {
    queryId: given.get('query_id') || header(headers, 'x-clickhouse-query-id') || randomUUID(),
    query: given.get('query') ?? '',
    readOnly: method === 'GET' || method === 'HEAD',
    database: given.get('database') || header(headers, 'x-clickhouse-database') || undefined,
    defaultFormat: checkedFormat(given.get('default_format') || header(headers, 'x-clickhouse-format')),
    settings,
    parameters,
    handedBody: given.get(handedBodyParameter),
    session: parseSession(given),
    protocolVersion: Number(given.get('client_protocol_version') ?? 0) || 0,
    requestEncoding: parseContentEncoding(header(headers, 'content-encoding')),
    responseEncoding: isOn(given.get('enable_http_compression'))
      ? chooseEncoding(header(headers, 'accept-encoding') ?? '')
      : undefined,
  };
}

// Names go into SQL as they are, so nothing but a plain name may pass.
function checkedName(name: string, what: string): string {
  if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) return name;
  throw exception('UNKNOWN_SETTING', `Unknown ${what} '${name.slice(0, 100)}'`);
}

function checkedFormat(name: string | undefined): string {
  if (name === undefined) return 'TabSeparated';
  if (/^[A-Za-z][A-Za-z0-9_]*$/.test(name)) return name;
  throw exception('UNKNOWN_FORMAT', `Unknown format ${name.slice(0, 100)}`);
}

function parseSession(given: ReadonlyMap<string, string>): SessionRequest | undefined {
  const id = given.get('session_id');
  if (id === undefined || id === '') return undefined;
  const text = given.get('session_timeout');
  const seconds = text === undefined ? sessionTimeoutSeconds.normal : Number(text);
  if (!Number.isInteger(seconds) || seconds < 0 || seconds > sessionTimeoutSeconds.most) {
    throw exception(
      'INVALID_SESSION_TIMEOUT',
      `Invalid session timeout: '${text}'; a whole number of seconds up to ${sessionTimeoutSeconds.most} is allowed`,
    );
  }
  return { id, timeoutMs: seconds * 1000, mustExist: isOn(given.get('session_check')) };
}

function parseContentEncoding(value: string | undefined): Encoding | undefined {
  if (value === undefined || value === '' || value === 'identity') return undefined;
  const encoding = encodings.find((known) => known === value.toLowerCase());
  if (encoding !== undefined) return encoding;
  throw exception(
    'NOT_IMPLEMENTED',
    `Content-Encoding '${value.slice(0, 100)}' is not served; allowed are ${encodings.join(', ')}`,
  );
}

function chooseEncoding(accepted: string): Encoding | undefined {
  const names = accepted
    .split(',')
    .map((part) => part.trim().toLowerCase())
    .filter((part) => !/;\s*q=0(\.0*)?$/.test(part))
    .map((part) => part.split(';')[0]!.trim());
  return encodings.find((encoding) => names.includes(encoding));
}

/**
 * Who asks. There is one user, `default`, without a password: the store listens on loopback, and
 * whoever is to be kept out is kept out by the address it listens on.
 */
export function authenticate(parameters: URLSearchParams, headers: IncomingHttpHeaders): void {
  let user = header(headers, 'x-clickhouse-user') ?? parameters.get('user') ?? '';
  let password = header(headers, 'x-clickhouse-key') ?? parameters.get('password') ?? '';
  const authorization = header(headers, 'authorization');
  if (authorization !== undefined) {
    const basic = /^basic\s+(.*)$/i.exec(authorization)?.[1];
    const [name, ...rest] = Buffer.from(basic ?? '', 'base64')
      .toString('utf8')
      .split(':');
    user = basic === undefined ? 'unknown' : (name ?? '');
    password = rest.join(':');
  }
  if ((user !== '' && user !== 'default') || password !== '') {
    throw exception(
      'AUTHENTICATION_FAILED',
      `${user || 'default'}: Authentication failed: password is incorrect, or there is no user with such name; ` +
        "the embedded store has the user 'default' with an empty password",
    );
  }
  // A page in a browser can send statements to loopback; a statement that another site sends is not the user's.
  const site = header(headers, 'sec-fetch-site');
  if (site === 'cross-site' || site === 'same-site') {
    throw exception(
      'ACCESS_DENIED',
      'a web page of another origin may not send statements to the embedded store',
    );
  }
}

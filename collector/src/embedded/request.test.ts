import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Exception } from './exceptions.js';
import { isReadOnly, prelude } from './prelude.js';
import { authenticate, parseRequest } from './request.js';

const parse = (query: string, headers: Record<string, string> = {}, method = 'POST') =>
  parseRequest({ method, parameters: new URLSearchParams(query), headers });

const fails = (code: number) => (error: unknown) =>
  error instanceof Exception && error.exceptionCode === code;

test('parameters of the URL are settings, unless they are about the conversation', () => {
  const request = parse(
    'max_threads=2&query_id=a&database=d&param_x=1&wait_end_of_query=1&session_id=s&buffer_size=1',
  );
  assert.deepEqual([...request.settings], [['max_threads', '2']]);
  assert.deepEqual([...request.parameters], [['x', '1']]);
  assert.equal(request.queryId, 'a');
  assert.equal(request.database, 'd');
  assert.deepEqual(request.session, { id: 's', timeoutMs: 60_000, mustExist: false });
});

test('headers give the database and the format when the URL does not', () => {
  const headers = { 'x-clickhouse-database': 'h', 'x-clickhouse-format': 'CSV' };
  assert.equal(parse('', headers).database, 'h');
  assert.equal(parse('', headers).defaultFormat, 'CSV');
  assert.equal(parse('database=u&default_format=JSON', headers).database, 'u');
  assert.equal(parse('default_format=JSON', headers).defaultFormat, 'JSON');
  assert.equal(parse('').defaultFormat, 'TabSeparated');
});

test('a name that is not a plain name never reaches SQL', () => {
  assert.throws(() => parse('a%20%3D1%3B%20DROP=1'), fails(115));
  assert.throws(() => parse("param_a'b=1"), fails(115));
  assert.throws(() => parse('default_format=CSV%20SETTINGS'), fails(73));
});

test('block compression is refused, HTTP compression is chosen from what the client accepts', () => {
  assert.throws(() => parse('compress=1'), fails(48));
  assert.throws(() => parse('decompress=1'), fails(48));
  assert.equal(parse('compress=0&decompress=0').responseEncoding, undefined);
  assert.equal(parse('', { 'accept-encoding': 'gzip' }).responseEncoding, undefined);
  assert.equal(
    parse('enable_http_compression=1', { 'accept-encoding': 'br;q=0, gzip;q=0.5' }).responseEncoding,
    'gzip',
  );
  assert.equal(parse('', { 'content-encoding': 'gzip' }).requestEncoding, 'gzip');
  assert.throws(() => parse('', { 'content-encoding': 'snappy' }), fails(48));
});

test('a session timeout is a whole number of seconds up to an hour', () => {
  assert.equal(parse('session_id=s&session_timeout=5').session?.timeoutMs, 5000);
  for (const wrong of ['x', '-1', '3601', '1.5']) {
    assert.throws(() => parse(`session_id=s&session_timeout=${wrong}`), fails(374));
  }
});

test('the user default has an empty password, and nobody else is known', () => {
  const basic = (text: string) => ({ authorization: `Basic ${Buffer.from(text).toString('base64')}` });
  authenticate(new URLSearchParams(), {});
  authenticate(new URLSearchParams('user=default&password='), {});
  authenticate(new URLSearchParams(), basic('default:'));
  authenticate(new URLSearchParams(), { 'x-clickhouse-user': 'default', 'x-clickhouse-key': '' });
  for (const headers of [
    basic('default:x'),
    basic('bob:'),
    { 'x-clickhouse-user': 'bob' },
    { authorization: 'Bearer x' },
  ]) {
    assert.throws(() => authenticate(new URLSearchParams(), headers), fails(516));
  }
  assert.throws(() => authenticate(new URLSearchParams('user=bob'), {}), fails(516));
  assert.throws(() => authenticate(new URLSearchParams(), { 'sec-fetch-site': 'cross-site' }), fails(497));
});

test('values are quoted, memory is bounded, and readonly is said last', () => {
  const request = parse("max_memory_usage=99999&param_x=it's%5C&a_setting=b", {}, 'GET');
  const { sql } = prelude(request, { mark: 'id', queryMemoryBytes: 1000 });
  assert.match(sql, /max_memory_usage='1000'/);
  assert.match(sql, /param_x='it\\'s\\\\'/);
  assert.match(sql, /log_comment='id'/);
  assert.match(sql, /; SET readonly='2'; $/);
  assert.equal(isReadOnly(request), true);
});

test('a client may lower its memory, and may not ask for no limit', () => {
  const memory = (asked: string) =>
    /max_memory_usage='(\d+)'/.exec(
      prelude(parse(`max_memory_usage=${asked}`), { mark: 'id', queryMemoryBytes: 1000 }).sql,
    )?.[1];
  assert.equal(memory('10'), '10');
  assert.equal(memory('0'), '1000');
  assert.throws(() => memory('1e9'), fails(6));
});

test('a session puts back what an earlier request set, and is never made read-only for good', () => {
  const session = { applied: new Set(['max_threads', 'async_insert']) };
  const { sql } = prelude(parse('readonly=1'), { mark: 'id', queryMemoryBytes: 1000, session });
  assert.match(sql, /max_threads=DEFAULT/);
  assert.doesNotMatch(sql, /async_insert=DEFAULT/);
  assert.doesNotMatch(sql, /readonly/);
});

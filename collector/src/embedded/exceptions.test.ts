import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exception, exceptionOfEngine, httpStatusOf } from './exceptions.js';
import { contentTypeOf, exceptionText } from './response.js';

const identity = { engine: { version: '26.7.2.1', timezone: 'UTC', displayName: 'x' }, queryId: 'q' };

test('an exception of the engine keeps its code and is written with the version once', () => {
  const plain = exceptionOfEngine('Code: 60. DB::Exception: Unknown table x. (UNKNOWN_TABLE)');
  assert.equal(plain.exceptionCode, 60);
  assert.equal(
    exceptionText(identity, plain),
    'Code: 60. DB::Exception: Unknown table x. (UNKNOWN_TABLE) (version 26.7.2.1 (official build))\n',
  );
  const wrapped = exceptionOfEngine(
    'Code: 33. DB::Exception: Code: 33. DB::Exception: Cannot read. (CANNOT_READ_ALL_DATA) (version 26.7.2.1). (CANNOT_READ_ALL_DATA)',
  );
  assert.equal(
    exceptionText(identity, wrapped),
    'Code: 33. DB::Exception: Cannot read. (CANNOT_READ_ALL_DATA) (version 26.7.2.1 (official build))\n',
  );
});

test("the store's own exceptions look like the engine's", () => {
  assert.equal(exception('READONLY', 'No').message, 'Code: 164. DB::Exception: No. (READONLY)');
  assert.equal(exceptionOfEngine('no code here').exceptionCode, 1002);
});

test("codes have ClickHouse's HTTP statuses", () => {
  const statuses = {
    62: 400,
    6: 400,
    53: 400,
    60: 404,
    81: 404,
    115: 404,
    516: 403,
    194: 401,
    48: 501,
    159: 408,
  };
  for (const [code, status] of Object.entries(statuses))
    assert.equal(httpStatusOf(Number(code)), status, code);
  for (const code of [164, 202, 241, 252, 373]) assert.equal(httpStatusOf(code), 500, String(code));
});

test("formats have ClickHouse's content types", () => {
  const types: Record<string, string> = {
    TabSeparated: 'text/tab-separated-values; charset=UTF-8',
    TSVWithNames: 'text/tab-separated-values; charset=UTF-8',
    CSV: 'text/csv; charset=UTF-8; header=absent',
    CSVWithNamesAndTypes: 'text/csv; charset=UTF-8; header=present',
    JSON: 'application/json; charset=UTF-8',
    JSONCompact: 'application/json; charset=UTF-8',
    JSONEachRow: 'application/x-ndjson; charset=UTF-8',
    JSONCompactEachRowWithNames: 'application/x-ndjson; charset=UTF-8',
    Native: 'application/octet-stream',
    RowBinaryWithNamesAndTypes: 'application/octet-stream',
    PrettyCompact: 'text/plain; charset=UTF-8',
  };
  for (const [format, type] of Object.entries(types)) assert.equal(contentTypeOf(format), type, format);
});

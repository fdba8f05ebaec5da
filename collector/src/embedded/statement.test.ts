import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exceptionCodes } from './exceptions.js';
import { classify, type Statement } from './statement.js';

function insert(text: string): { before: string; settings: string; format: string; data: string } {
  const statement = classify(text);
  assert.equal(statement.kind, 'insert', text);
  const { settingsAt, headEnd, format, dataStart } = statement as Extract<Statement, { kind: 'insert' }>;
  return {
    before: text.slice(0, settingsAt),
    settings: text.slice(settingsAt, headEnd),
    format,
    data: text.slice(dataStart),
  };
}

function select(text: string): { head: string; format: string | undefined; tail: string } {
  const statement = classify(text);
  assert.equal(statement.kind, 'select', text);
  const { output, tail, end, format } = statement as Extract<Statement, { kind: 'select' }>;
  return { head: text.slice(0, output).trimEnd(), format, tail: text.slice(tail, end).trim() };
}

test('the data of an INSERT begins after the first line break behind the format', () => {
  assert.deepEqual(insert('INSERT INTO t (a, b) FORMAT Native\n\n\x01'), {
    before: 'INSERT INTO t (a, b) ',
    settings: '',
    format: 'Native',
    data: '\n\x01',
  });
  assert.equal(insert('insert into t format CSV \t\r\n1,2').data, '1,2');
  assert.equal(insert('INSERT INTO t FORMAT JSONEachRow {"a":1}').data, '{"a":1}');
  assert.equal(insert('INSERT INTO t FORMAT Native').data, '');
});

test('the settings of an INSERT stand behind the place of the file', () => {
  const parts = insert(
    "INSERT INTO t (a) SETTINGS insert_deduplication_token = 'FORMAT x' FORMAT RowBinary\n\0",
  );
  assert.equal(parts.before, 'INSERT INTO t (a) ');
  assert.equal(parts.settings, "SETTINGS insert_deduplication_token = 'FORMAT x' ");
  assert.equal(parts.data, '\0');
});

test('VALUES in the text is data in the format Values', () => {
  assert.deepEqual(insert("INSERT INTO t VALUES (1, 'a;b')"), {
    before: 'INSERT INTO t ',
    settings: '',
    format: 'Values',
    data: " (1, 'a;b')",
  });
});

test('tables may be called as the keywords are', () => {
  assert.equal(insert('INSERT INTO format FORMAT CSV\n1').before, 'INSERT INTO format ');
  assert.equal(insert('INSERT INTO values VALUES (1)').before, 'INSERT INTO values ');
  assert.equal(insert('INSERT INTO db.select VALUES (1)').before, 'INSERT INTO db.select ');
  assert.equal(
    insert('INSERT INTO TABLE `my ``select` VALUES (1)').before,
    'INSERT INTO TABLE `my ``select` ',
  );
  assert.equal(insert('INSERT INTO "a"."b" (`format`, "values") VALUES (1)').data, ' (1)');
  assert.equal(insert('INSERT INTO {t:Identifier} FORMAT CSV 1').before, 'INSERT INTO {t:Identifier} ');
  assert.equal(insert('INSERT INTO {d:Identifier}.{t:Identifier} (a) FORMAT CSV 1').data, '1');
});

test('INTO may be left out, and comments may stand anywhere in the head', () => {
  assert.equal(insert('INSERT t VALUES (1)').data, ' (1)');
  const text = '/* FORMAT */ INSERT -- VALUES\n INTO # SELECT\n t /* ( */ (a) -- x\n FORMAT CSV\n1';
  assert.equal(insert(text).data, '1');
});

test('what follows the head of an INSERT is never read', () => {
  assert.equal(insert("INSERT INTO t FORMAT CSV\n'unclosed; SELECT 1; (").data, "'unclosed; SELECT 1; (");
  assert.equal(insert("INSERT INTO t VALUES ('it''s; FORMAT Null')").data, " ('it''s; FORMAT Null')");
});

test('an INSERT that selects is run as it stands', () => {
  for (const text of [
    'INSERT INTO t SELECT * FROM s',
    'INSERT INTO t (a) WITH 1 AS x SELECT x',
    'INSERT INTO t (SELECT 1)',
    'INSERT INTO t (a, b) (SELECT 1, 2)',
    'INSERT INTO t FROM s SELECT *',
    'INSERT INTO FUNCTION null() SELECT 1',
    "INSERT INTO t SELECT 'VALUES (1) FORMAT CSV'",
    'WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x',
  ]) {
    assert.equal(classify(text).kind, 'insert-select', text);
  }
});

test('the output clause of a SELECT belongs before its format, or at its end', () => {
  assert.deepEqual(select('SELECT 1'), { head: 'SELECT 1', format: undefined, tail: '' });
  assert.deepEqual(select('SELECT 1 FORMAT JSON'), { head: 'SELECT 1', format: 'JSON', tail: '' });
  assert.deepEqual(select('SELECT 1 format JSON SETTINGS max_threads = 1;'), {
    head: 'SELECT 1',
    format: 'JSON',
    tail: 'SETTINGS max_threads = 1',
  });
  assert.deepEqual(select('SELECT 1 SETTINGS a = 1 FORMAT CSV -- end'), {
    head: 'SELECT 1 SETTINGS a = 1',
    format: 'CSV',
    tail: '',
  });
  assert.deepEqual(select('(SELECT 1) UNION ALL (SELECT 2) ; ;'), {
    head: '(SELECT 1) UNION ALL (SELECT 2)',
    format: undefined,
    tail: '',
  });
  assert.equal(select('WITH 1 AS x SELECT x').head, 'WITH 1 AS x SELECT x');
  assert.equal(select('FROM t SELECT a FORMAT XML').format, 'XML');
});

test('a column, an alias or a string called format is no format', () => {
  for (const text of [
    'SELECT format FROM t',
    'SELECT 1 AS format',
    "SELECT 'a FORMAT JSON'",
    'SELECT format, b FROM t',
    "SELECT format('{}', a) FROM t",
    'SELECT * FROM (SELECT 1 FORMAT JSON)',
    'SELECT $$ FORMAT JSON$$',
    'SELECT $x$ FORMAT $$ JSON$x$',
  ]) {
    assert.equal(select(text).format, undefined, text);
  }
});

test('two statements in one request are refused, a semicolon at the end is not', () => {
  for (const text of ['SELECT 1; SELECT 2', 'SET a = 1; SELECT 1', 'DROP TABLE a; DROP TABLE b;']) {
    const statement = classify(text);
    assert.equal(statement.kind, 'refused', text);
    assert.equal((statement as Extract<Statement, { kind: 'refused' }>).code, exceptionCodes.SYNTAX_ERROR);
  }
  for (const text of ['SELECT 1;', 'SELECT 1 ; -- end', "SELECT ';'", 'SELECT 1 /* ; SELECT 2 */']) {
    assert.equal(classify(text).kind, 'select', text);
  }
});

test('files and programs of the machine are out of reach, however they are written', () => {
  for (const text of [
    "SELECT * FROM file('/etc/passwd')",
    "SELECT * FROM `file`('/etc/passwd')",
    'SELECT * FROM "FILE" /* x */ (\'/etc/passwd\')',
    "SELECT * FROM url('file:///etc/passwd')",
    "SELECT file('/etc/passwd')",
    "INSERT INTO FUNCTION file('/tmp/x', CSV) SELECT 1",
    "INSERT INTO FUNCTION file('/tmp/x', CSV) VALUES (1)",
    "DESCRIBE TABLE file('/etc/passwd')",
    "CREATE TABLE t (a String) ENGINE = File(CSV, '/tmp/x')",
    "CREATE TABLE t (a Int8) ENGINE = MergeTree ORDER BY a SETTINGS disk = disk(type = local, path = '/')",
    "CREATE DICTIONARY d (a Int8) PRIMARY KEY a SOURCE(FILE(path '/etc/passwd' format 'CSV'))",
    "SELECT 1 INTO OUTFILE '/tmp/x'",
    "INSERT INTO t FROM INFILE '/etc/passwd' FORMAT CSV",
    "EXPLAIN SELECT * FROM executable('x', CSV)",
  ]) {
    assert.equal(classify(text).kind, 'refused', text);
  }
  for (const text of [
    'SELECT file FROM t',
    'CREATE TABLE file (a Int8) ENGINE = Memory',
    'SELECT url, disk FROM t',
  ]) {
    assert.notEqual(classify(text).kind, 'refused', text);
  }
});

test('every other statement is told by its first word', () => {
  const kinds: Record<string, string> = {
    'SHOW TABLES FORMAT JSON': 'show',
    'describe t': 'show',
    'EXPLAIN SELECT 1': 'show',
    'EXISTS TABLE t': 'show',
    'SET max_threads = 1': 'session',
    'USE db': 'session',
    'CREATE TABLE t (a Int8) ENGINE = Memory': 'command',
    'CREATE VIEW v AS SELECT 1 FORMAT JSON': 'command',
    'OPTIMIZE TABLE t FINAL': 'command',
    nonsense: 'command',
    '1 + 1': 'command',
    ' -- nothing\n/* */': 'empty',
    '': 'empty',
  };
  for (const [text, kind] of Object.entries(kinds)) assert.equal(classify(text).kind, kind, text);
  assert.equal((classify('SHOW TABLES FORMAT JSON') as { format?: string }).format, 'JSON');
});

test('KILL QUERY tells where it names a query id', () => {
  const text = "KILL QUERY WHERE query_id = 'query_id' AND `query_id` != ''";
  const statement = classify(text) as Extract<Statement, { kind: 'kill' }>;
  assert.deepEqual(
    statement.queryIds.map(({ start, end }) => text.slice(start, end)),
    ['query_id', '`query_id`'],
  );
});

test('no text makes the classifier fail or hang', () => {
  const pieces = [
    "'",
    '"',
    '`',
    '\\',
    '(',
    ')',
    '{',
    ';',
    '--',
    '/*',
    '$a$',
    ' INSERT ',
    ' INTO ',
    ' t ',
    ' FORMAT ',
    ' x ',
    '\n',
    '\xe2\x80\x98',
    ' VALUES ',
    ' SELECT ',
  ];
  let seed = 1;
  const random = (): number => (seed = (seed * 48271) % 2147483647);
  for (let i = 0; i < 20_000; i++) {
    let text = '';
    for (let n = random() % 12; n >= 0; n--) text += pieces[random() % pieces.length];
    classify(text);
  }
});

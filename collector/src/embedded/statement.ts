/**
 * What a statement is, from its text alone: which way it goes through the store, where an INSERT's
 * data begins, where the output clause of a SELECT belongs.
 *
 * 1. Nothing is judged that the engine judges: a statement this file cannot place is a `command`, and
 *    the engine names what is wrong with it.
 * 2. After the head of an INSERT nothing is read: what follows is data.
 * 3. One statement a request, as on a server.
 */
import { exceptionCodes } from './exceptions.js';
import { type Token, tokens } from './tokens.js';

export type Statement =
  /** INSERT with data: `text.slice(0, settingsAt)`, the file, `text.slice(settingsAt, headEnd)`. */
  | { kind: 'insert'; format: string; settingsAt: number; headEnd: number; dataStart: number }
  | { kind: 'insert-select'; end: number }
  /** A result of any size; `output` is where its output clause belongs, `tail` what follows FORMAT. */
  | { kind: 'select'; output: number; tail: number; end: number; format: string | undefined }
  /** A small result, and nothing is changed. */
  | { kind: 'show'; end: number; format: string | undefined }
  /** KILL QUERY; the places where it says `query_id`. */
  | { kind: 'kill'; end: number; format: string | undefined; queryIds: { start: number; end: number }[] }
  /** SET, USE: changes the session, nothing else. */
  | { kind: 'session'; end: number }
  | { kind: 'command'; end: number; format: string | undefined }
  | { kind: 'empty' }
  | { kind: 'refused'; code: number; reason: string };

const selectWords = new Set(['SELECT', 'WITH', 'FROM']);
const showWords = new Set(['SHOW', 'DESCRIBE', 'DESC', 'EXPLAIN', 'EXISTS']);
// What a server keeps its clients away from: files and programs of the machine it runs on. The engine
// is built as `clickhouse local`, which allows them, and no setting of it forbids them. url() is among
// them because url('file:///…') reads files.
const hostFunctions =
  /^(FILE|FILECLUSTER|URL|URLCLUSTER|EXECUTABLE|EXECUTABLEPOOL|SQLITE|DISK|ICEBERGLOCAL|DELTALAKELOCAL|PAIMONLOCAL|PYTHON)$/;
const namesFollow = new Set(['TABLE', 'INTO', 'EXISTS', 'VIEW', 'DICTIONARY', 'DATABASE']);

/** Classifies the statement in `text` (latin1). `text` may end anywhere in the data of an INSERT. */
export function classify(text: string): Statement {
  const stream = tokens(text);
  const first = stream.next();
  if (first.done) return { kind: 'empty' };
  const read: Token[] = [first.value];
  if (isWord(first.value, 'INSERT')) {
    const insert = classifyInsert(text, stream, read);
    if (insert !== undefined) return insert;
  }
  for (const token of stream) read.push(token);
  return classifyWhole(text, read);
}

function isWord(token: Token | undefined, word: string): boolean {
  return token?.kind === 'word' && token.text === word;
}

function isMark(token: Token | undefined, mark: string): boolean {
  return token?.kind === 'mark' && token.text === mark;
}

/** The head of an INSERT with data; undefined for any other INSERT, whose tokens are then in `read`. */
function classifyInsert(
  text: string,
  stream: Generator<Token, void, undefined>,
  read: Token[],
): Statement | undefined {
  const next = (): Token | undefined => {
    const step = stream.next();
    if (step.done) return undefined;
    read.push(step.value);
    return step.value;
  };
  let token = next();
  if (isWord(token, 'INTO')) token = next();
  if (isWord(token, 'TABLE')) token = next();
  const intoFunction = isWord(token, 'FUNCTION');
  if (intoFunction) token = next();
  if (isMark(token, '{')) while (token !== undefined && !isMark(token, '}')) token = next();
  token = next();
  while (isMark(token, '.')) {
    next();
    token = next();
  }
  let settingsAt: number | undefined;
  for (; token !== undefined; token = next()) {
    if (
      token.depth === 1 &&
      token.kind === 'word' &&
      isMark(read.at(-2), '(') &&
      selectWords.has(token.text)
    ) {
      return undefined;
    }
    if (token.depth > 0 || token.kind !== 'word') continue;
    if (token.text === 'SETTINGS') settingsAt ??= token.start;
    if (selectWords.has(token.text) || token.text === 'WATCH') return undefined;
    if (token.text !== 'VALUES' && token.text !== 'FORMAT') continue;
    if (intoFunction) {
      const refusal = refuse(read);
      if (refusal !== undefined) return refusal;
    }
    const head = { settingsAt: settingsAt ?? token.start, headEnd: token.start };
    if (token.text === 'VALUES') return { kind: 'insert', format: 'Values', dataStart: token.end, ...head };
    const name = next();
    if (name?.kind !== 'word') return undefined;
    const format = text.slice(name.start, name.end);
    return { kind: 'insert', format, dataStart: dataStart(text, name.end), ...head };
  }
  return undefined;
}

/** Data starts after the first line break behind the format's name, or after the blanks if there is none. */
function dataStart(text: string, from: number): number {
  let at = from;
  while (text[at] === ' ' || text[at] === '\t' || text[at] === '\f') at += 1;
  if (text[at] === '\r') at += 1;
  if (text[at] === '\n') at += 1;
  return at;
}

function refuse(read: readonly Token[]): Statement | undefined {
  const describes = isWord(read[0], 'DESCRIBE') || isWord(read[0], 'DESC');
  for (const [i, token] of read.entries()) {
    const next = read[i + 1];
    if (isWord(token, 'INTO') && isWord(next, 'OUTFILE')) {
      return {
        kind: 'refused',
        code: exceptionCodes.INTO_OUTFILE_NOT_ALLOWED,
        reason: 'INTO OUTFILE is not allowed over HTTP; take the result from the response',
      };
    }
    if (isWord(token, 'FROM') && isWord(next, 'INFILE')) {
      return {
        kind: 'refused',
        code: exceptionCodes.NOT_IMPLEMENTED,
        reason: 'FROM INFILE is not allowed over HTTP; send the data as the body of the request',
      };
    }
    if ((token.kind !== 'word' && token.kind !== 'quoted') || !isMark(next, '(')) continue;
    if (!hostFunctions.test(token.text.toUpperCase())) continue;
    const before = read[i - 1];
    const isName = isMark(before, '.') || (before?.kind === 'word' && namesFollow.has(before.text));
    if (isName && !describes) continue;
    return {
      kind: 'refused',
      code: exceptionCodes.ACCESS_DENIED,
      reason: `${token.text}(…) reaches files or programs of the machine, which the embedded store does not allow`,
    };
  }
  return undefined;
}

function classifyWhole(text: string, read: Token[]): Statement {
  const semicolon = read.findIndex((token) => isMark(token, ';') && token.depth === 0);
  if (semicolon !== -1) {
    const extra = read[semicolon + 1];
    if (extra !== undefined && !read.slice(semicolon).every((token) => isMark(token, ';'))) {
      return {
        kind: 'refused',
        code: exceptionCodes.SYNTAX_ERROR,
        reason: `Syntax error (Multi-statements are not allowed): failed at position ${read[semicolon]!.start + 1}`,
      };
    }
    read.length = semicolon;
  }
  const last = read.at(-1);
  if (last === undefined) return { kind: 'empty' };
  const refusal = refuse(read);
  if (refusal !== undefined) return refusal;
  const end = last.end;
  const formatAt = findFormat(read);
  const name = formatAt === -1 ? undefined : read[formatAt + 1]!;
  // Sliced from the text and not taken from the token: a format's name keeps its case.
  const format = name === undefined ? undefined : text.slice(name.start, name.end);
  const start = read.find((token) => !isMark(token, '('));
  const inserts = read.some((token) => token.depth === 0 && isWord(token, 'INSERT'));
  if (isWord(start, 'INSERT') || (isWord(start, 'WITH') && inserts)) {
    for (const [i, token] of read.entries()) {
      if (isWord(token, 'INPUT') && isMark(read[i + 1], '(')) {
        return {
          kind: 'refused',
          code: exceptionCodes.NOT_IMPLEMENTED,
          reason:
            'the embedded store does not serve INSERT … SELECT … FROM input(…); insert the data with FORMAT',
        };
      }
    }
    return { kind: 'insert-select', end };
  }
  if (start?.kind === 'word') {
    if (selectWords.has(start.text)) {
      const output = formatAt === -1 ? end : read[formatAt]!.start;
      return { kind: 'select', output, tail: name === undefined ? end : name.end, end, format };
    }
    if (showWords.has(start.text)) return { kind: 'show', end, format };
    if (start.text === 'SET' || start.text === 'USE') return { kind: 'session', end };
    if (start.text === 'KILL' && isWord(read[1], 'QUERY')) {
      const queryIds = read
        .filter(
          (token) => isWord(token, 'QUERY_ID') || (token.kind === 'quoted' && token.text === 'query_id'),
        )
        .map((token) => ({ start: token.start, end: token.end }));
      return { kind: 'kill', end, format, queryIds };
    }
  }
  return { kind: 'command', end, format };
}

/** FORMAT, a name, and then the end or SETTINGS: anything else called `format` is a column or an alias. */
function findFormat(read: readonly Token[]): number {
  for (let i = read.length - 2; i > 0; i--) {
    if (!isWord(read[i], 'FORMAT') || read[i]!.depth > 0 || read[i + 1]!.kind !== 'word') continue;
    if (i + 2 === read.length || isWord(read[i + 2], 'SETTINGS')) return i;
  }
  return -1;
}

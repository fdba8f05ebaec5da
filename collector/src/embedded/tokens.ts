/**
 * ClickHouse SQL as tokens: just enough to find where clauses begin and end without mistaking the
 * inside of a string, an identifier in quotes, a heredoc or a comment for SQL.
 *
 * The input is the statement's bytes as latin1, so that offsets are byte offsets: everything the
 * lexer looks for is ASCII, apart from the typographic quotes, which are matched as bytes.
 *
 * Follows ClickHouse's `src/Parsers/Lexer.cpp`.
 */

export interface Token {
  readonly kind: 'word' | 'quoted' | 'string' | 'number' | 'mark';
  readonly start: number;
  readonly end: number;
  /** Nesting of (), [] and {} around the token; a bracket has the depth of what is outside it. */
  readonly depth: number;
  /** A word in upper case, the inside of a quoted identifier as it stands, or the mark itself. */
  readonly text: string;
}

const wordStart = /[A-Za-z_$]/;
// Digits may be followed by letters (`0x1F`, `1e10`): one token is enough, nobody reads its value here.
const wordPattern = /[A-Za-z0-9_$]+/y;
const numberPattern = /[0-9][A-Za-z0-9_.]*/y;
const spacePattern = /(?:[\s\0]|\xc2\xa0)+/y;
const heredocPattern = /\$[A-Za-z0-9_]*\$/y;

function matchAt(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0];
}

/** The offset after the closing quote; the end of the text when it never closes. */
function quotedEnd(text: string, start: number, quote: string): number {
  let at = start + 1;
  while (at < text.length) {
    const char = text[at];
    if (char === '\\') at += 2;
    else if (char !== quote) at += 1;
    else if (text[at + 1] === quote) at += 2;
    else return at + 1;
  }
  return text.length;
}

function endOf(text: string, start: number, closing: string): number {
  const at = text.indexOf(closing, start);
  return at === -1 ? text.length : at + closing.length;
}

/** The offset after white space and comments. */
export function skipBlank(text: string, from: number): number {
  let at = from;
  for (;;) {
    const space = matchAt(spacePattern, text, at);
    if (space !== undefined) at += space.length;
    else if (text.startsWith('--', at)) at = endOf(text, at, '\n');
    else if (text.startsWith('#!', at) || text.startsWith('# ', at)) at = endOf(text, at, '\n');
    else if (text.startsWith('/*', at)) at = endOf(text, at + 2, '*/');
    else return at;
  }
}

/** Reads the statement's tokens one by one, so that data after an INSERT's head is never looked at. */
export function* tokens(text: string): Generator<Token, void, undefined> {
  let at = 0;
  let depth = 0;
  for (;;) {
    at = skipBlank(text, at);
    if (at >= text.length) return;
    const start = at;
    const char = text[at]!;
    if (char === "'") {
      at = quotedEnd(text, at, char);
      yield { kind: 'string', start, end: at, depth, text: '' };
    } else if (char === '`' || char === '"') {
      at = quotedEnd(text, at, char);
      yield { kind: 'quoted', start, end: at, depth, text: text.slice(start + 1, at - 1) };
    } else if (text.startsWith('\xe2\x80\x98', at)) {
      at = endOf(text, at, '\xe2\x80\x99');
      yield { kind: 'string', start, end: at, depth, text: '' };
    } else if (text.startsWith('\xe2\x80\x9c', at)) {
      at = endOf(text, at, '\xe2\x80\x9d');
      yield { kind: 'quoted', start, end: at, depth, text: text.slice(start + 3, at - 3) };
    } else if (char === '$' && matchAt(heredocPattern, text, at) !== undefined) {
      const tag = matchAt(heredocPattern, text, at)!;
      at = endOf(text, at + tag.length, tag);
      yield { kind: 'string', start, end: at, depth, text: '' };
    } else if (wordStart.test(char)) {
      const word = matchAt(wordPattern, text, at)!;
      at += word.length;
      yield { kind: 'word', start, end: at, depth, text: word.toUpperCase() };
    } else if (char >= '0' && char <= '9') {
      at += matchAt(numberPattern, text, at)!.length;
      yield { kind: 'number', start, end: at, depth, text: '' };
    } else {
      at += 1;
      if (char === ')' || char === ']' || char === '}') depth = Math.max(0, depth - 1);
      yield { kind: 'mark', start, end: at, depth, text: char };
      if (char === '(' || char === '[' || char === '{') depth += 1;
    }
  }
}

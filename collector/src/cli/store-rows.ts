/** The rows of a small answer, and statements without one, for commands that read the ledger. */
import { SluiceError } from '../errors.js';
import { CommandFailure } from './failure.js';
import { shownUrl } from './settings.js';
import { queryStore } from './store-query.js';

export interface StorePlace {
  readonly url: string;
  readonly database: string;
}

/** Rows as arrays of cells, as JSONCompactEachRow has them. */
export async function storeRows(
  { url, database }: StorePlace,
  sql: string,
  parameters: Readonly<Record<string, string>> = {},
): Promise<unknown[][]> {
  const chunks: Buffer[] = [];
  try {
    const answer = queryStore({ url, database, sql, defaultFormat: 'JSONCompactEachRow', parameters });
    for await (const chunk of answer) chunks.push(chunk);
  } catch (error) {
    // UNKNOWN_TABLE, UNKNOWN_DATABASE
    if (error instanceof CommandFailure && /^Code: (60|81)\b/.test(error.message)) {
      throw new SluiceError(
        'schema_mismatch',
        `${shownUrl(url)} has no tables of Sluice in database ${database}: no collector has written there yet. ` +
          'Make them with: npx sluice migrate, or name another database with --database NAME.',
      );
    }
    throw error;
  }
  return Buffer.concat(chunks)
    .toString('utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as unknown[]);
}

/** The flags that lead to the same store, to be put behind a command that is shown. */
export function sameStore(flags: { readonly store?: string; readonly database?: string }): string {
  const store = flags.store === undefined ? '' : ` --store ${shownUrl(flags.store)}`;
  return store + (flags.database === undefined ? '' : ` --database ${flags.database}`);
}

/** A text as SQL has it. */
export function quoteText(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

export function listOfTexts(texts: readonly string[]): string {
  return texts.map(quoteText).join(', ');
}

/** The first line of an error of ClickHouse without what its code and its table's name say already. */
export function shortError(text: string, most: number): string {
  return firstLine(
    text
      .replace(/^Code: \d+\. DB::Exception: /, '')
      .replace(/ \([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\)/, ''),
    most,
  );
}

/** One line of at most `most` characters. */
export function firstLine(text: string, most: number): string {
  const [line = ''] = text.split('\n');
  return line.length <= most ? line : `${line.slice(0, most - 1)}…`;
}

export function plural(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? '' : 's'}`;
}

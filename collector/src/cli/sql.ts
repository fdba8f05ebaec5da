/** `sluice sql`: one statement; a table on a terminal, plain rows in a pipe, any format on demand. */

import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import type { ConfigFlags } from './flags.js';
import { settingsOf } from './settings.js';
import { queryStore } from './store-query.js';

export interface SqlFlags extends ConfigFlags {
  readonly format?: string;
  readonly param?: Readonly<Record<string, string>>;
}

/** What makes ClickHouse's table a clean one. */
const tableSettings = {
  output_format_pretty_row_numbers: 0,
  output_format_pretty_color: 0,
  output_format_pretty_display_footer_column_names: 0,
  output_format_pretty_single_large_number_tip_threshold: 0,
} as const;

export async function sql(statement: string, flags: SqlFlags): Promise<void> {
  const { url, database } = settingsOf(flags).store;
  const asTable = flags.format === undefined && process.stdout.isTTY;
  const answer = queryStore({
    url,
    database,
    sql: statement === '-' ? await text(process.stdin) : statement,
    defaultFormat: flags.format ?? (asTable ? 'PrettyCompactMonoBlock' : 'TabSeparatedWithNames'),
    ...(flags.param && { parameters: flags.param }),
    ...(asTable && { settings: tableSettings }),
  });
  try {
    await pipeline(asTable ? withLineEnd(answer) : answer, process.stdout, { end: false });
  } catch (error) {
    // A reader that has enough, such as head, is no error.
    if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error;
  }
}

/** So that the shell's prompt stands on a line of its own, whatever the statement's own format is. */
async function* withLineEnd(answer: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let lastByte: number | undefined;
  for await (const chunk of answer) {
    lastByte = chunk.at(-1) ?? lastByte;
    yield chunk;
  }
  if (lastByte !== undefined && lastByte !== 0x0a) yield Buffer.from('\n');
}

/** `sluice sql`: one statement; a table on a terminal, plain rows in a pipe, any format on demand. */
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
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
  let closed = false;
  // A reader that has enough, such as head, is no error.
  process.stdout.on('error', () => {
    closed = true;
  });
  let lastByte: number | undefined;
  const answer = queryStore({
    url,
    database,
    sql: statement === '-' ? await text(process.stdin) : statement,
    defaultFormat: flags.format ?? (asTable ? 'PrettyCompactMonoBlock' : 'TabSeparatedWithNames'),
    ...(flags.param && { parameters: flags.param }),
    ...(asTable && { settings: tableSettings }),
  });
  for await (const chunk of answer) {
    if (chunk.length === 0) continue;
    lastByte = chunk.at(-1);
    if (closed) break;
    // A reader that goes away while we wait would never drain.
    if (!process.stdout.write(chunk))
      await Promise.race([once(process.stdout, 'drain'), once(process.stdout, 'close')]).catch(() => {});
  }
  if (process.stdout.isTTY && lastByte !== undefined && lastByte !== 0x0a) process.stdout.write('\n');
}

/** `sluice runs`: one row a run, the newest last. */
import { showDuration } from './duration.js';
import { CommandFailure } from './failure.js';
import type { ConfigFlags } from './flags.js';
import { settingsOf, shownUrl } from './settings.js';
import { queryStore } from './store-query.js';
import { renderTable, type TableColumn } from './table.js';

export interface RunsFlags extends ConfigFlags {
  readonly project?: string;
}

const columns: readonly TableColumn[] = [
  { title: 'project' },
  { title: 'run' },
  { title: 'ranks', align: 'right' },
  { title: 'events', align: 'right' },
  { title: 'last step', align: 'right' },
  { title: 'first event (UTC)' },
  { title: 'last event (UTC)' },
  { title: 'duration', align: 'right' },
  { title: 'errors', align: 'right' },
];

const runsOf = (where: string): string => `
SELECT project, run_id, toString(ranks), toString(events), ifNull(toString(last_step), ''),
  formatDateTime(first_time, '%F %T', 'UTC'), formatDateTime(last_time, '%F %T', 'UTC'),
  toFloat64(last_time) - toFloat64(first_time), toString(errors)
FROM runs ${where} ORDER BY last_time, project, run_id FORMAT JSONCompactEachRow`;

export async function runs(flags: RunsFlags): Promise<void> {
  const { url, database } = settingsOf(flags).store;
  const { project } = flags;
  const found: string[][] = [];
  const answer = await readAnswer(url, database, project);
  for (const line of answer.split('\n')) {
    if (line === '') continue;
    const row = JSON.parse(line) as unknown[];
    found.push(row.map((cell, index) => (index === 7 ? showDuration(Number(cell)) : String(cell))));
  }
  if (found.length > 0) {
    process.stdout.write(renderTable(columns, found));
    return;
  }
  const where = `${shownUrl(url)}, database ${database}`;
  process.stdout.write(
    project === undefined
      ? `No runs yet in ${where}; what is flushed shows at once, the rest within some seconds.\nLog some events (see the README), or try it with recorded ones:\n  npm run demo\n`
      : `No runs of project ${project} in ${where}; what is flushed shows at once, the rest within some seconds.\nAll projects:\n  npx sluice runs${flags.store === undefined ? '' : ` --store ${flags.store}`}\n`,
  );
}

async function readAnswer(url: string, database: string, project: string | undefined): Promise<string> {
  const where = project === undefined ? '' : 'WHERE project = {project:String}';
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of queryStore({
      url,
      database,
      sql: runsOf(where),
      defaultFormat: 'JSONCompactEachRow',
      ...(project !== undefined && { parameters: { project } }),
    })) {
      chunks.push(chunk);
    }
  } catch (error) {
    // UNKNOWN_TABLE, UNKNOWN_DATABASE
    if (error instanceof CommandFailure && /^Code: (60|81)\b/.test(error.message)) {
      throw new CommandFailure(
        `sluice: ${shownUrl(url)} has no view runs in database ${database}: no collector has written there yet.\n` +
          'Make the tables with: npx sluice migrate, or name another database with --database NAME.',
      );
    }
    throw error;
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** The text of --help. */
import type { Question } from './question.js';

export function helpText(questions: readonly Question[]): string {
  const lines = questions.map(({ name, asks, defaults }) => {
    const options = Object.entries(defaults).map(([option, value]) =>
      value === undefined ? `--${option}` : `--${option} ${value}`,
    );
    return `  ${name.padEnd(10)} ${asks}\n             ${options.join(', ')}`;
  });
  return `npm run bench -- QUESTION [options]

Questions, and the options that each takes with their defaults:
${lines.join('\n')}
  all        each of them in turn; an option goes to those that take it

Options:
  --seconds S       how long each load goes on; log-call: each state at most; query: each query repeated
  --events N        a fixed number of events in place of a duration
  --producers P     SDK processes that share the load
  --calls N         log calls in each state
  --rows N          events in the store
  --peak R          events/s that count as the peak; default: measured first
  --json FILE       write the result to a file too; of all questions, a list
  --profile DIR     ingest, rows: write CPU profiles of the SDK and the collector there and show their
                    hottest functions; the figures of such a run are not comparable
  --help            this text

Examples:
  npm run bench -- ingest
  npm run bench -- ingest --events 20_000_000 --producers 2 --json result.json
  npm run bench -- latency --peak 200_000
  npm run bench -- query --rows 5_000_000
  npm run bench -- all --json results.json

Progress and a table go to stderr; the last line of stdout is the result as JSON, one line a question.
SLUICE_… variables change the collector's limits, such as SLUICE_WAL_SEGMENT_EVENTS.
bench/README.md says what the keys mean.
`;
}

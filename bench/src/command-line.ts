/** The bench's command line. */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';

export interface Command {
  readonly question: 'ingest';
  readonly events: number;
  readonly producers: number;
  readonly jsonFile: string | undefined;
  readonly profileDirectory: string | undefined;
}

export const help = `npm run bench -- QUESTION [options]

Questions:
  ingest            what an event costs from the log call to the merged part

Options:
  --events N        events that are measured, after a warm-up (default 8000000)
  --producers P     SDK processes that share them (default 1)
  --json FILE       write the result to a file too
  --profile DIR     write CPU profiles of the SDK and the collector there and show their hottest
                    functions; the figures of such a run are not comparable
  --help            this text

Progress and a table go to stderr; the last line of stdout is the result as JSON.
SLUICE_… variables change the collector's limits, such as SLUICE_WAL_SEGMENT_EVENTS.
bench/README.md says what the keys mean.
`;

/** The default makes enough batches for the store to merge; with 16 or fewer it does not begin to. */
const events = { default: 8_000_000, min: 1_000, max: 1_000_000_000 };
const producers = { default: 1, min: 1, max: 64 };

/** A wrong command line is an error whose message can be shown as it is. */
export function parseCommand(args: readonly string[]): Command | 'help' {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      events: { type: 'string' },
      producers: { type: 'string' },
      json: { type: 'string' },
      profile: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help === true || positionals.length === 0) return 'help';
  const [question, ...more] = positionals;
  if (question !== 'ingest' || more.length > 0) {
    throw new Error(`unknown question "${positionals.join(' ')}"; there is: ingest`);
  }
  return {
    question,
    events: whole('--events', values.events, events),
    producers: whole('--producers', values.producers, producers),
    jsonFile: values.json === undefined ? undefined : resolve(values.json),
    profileDirectory: values.profile === undefined ? undefined : resolve(values.profile),
  };
}

function whole(
  name: string,
  text: string | undefined,
  range: { readonly default: number; readonly min: number; readonly max: number },
): number {
  if (text === undefined) return range.default;
  const value = Number(text.replaceAll('_', ''));
  if (Number.isInteger(value) && value >= range.min && value <= range.max) return value;
  throw new Error(`${name} is ${text}; it must be a whole number from ${range.min} to ${range.max}`);
}

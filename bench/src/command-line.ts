/** The bench's command line. */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { NumberOption, Options, Question } from './question.js';

export interface Command {
  /** One question, or all. */
  readonly asked: readonly { readonly question: Question; readonly options: Options }[];
  readonly isAll: boolean;
  readonly jsonFile: string | undefined;
}

/** What the numbers may be, whatever the question. */
const ranges: Readonly<Record<NumberOption, readonly [min: number, max: number]>> = {
  seconds: [1, 3600],
  events: [1_000, 1_000_000_000],
  producers: [1, 64],
  calls: [1_000, 10_000_000],
  rows: [10_000, 1_000_000_000],
  peak: [100, 100_000_000],
};

const numberNames = Object.keys(ranges) as NumberOption[];
const text = { type: 'string' } as const;

/** A wrong command line is an error whose message can be shown as it is. */
export function parseCommand(args: readonly string[], questions: readonly Question[]): Command | 'help' {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      seconds: text,
      events: text,
      producers: text,
      calls: text,
      rows: text,
      peak: text,
      json: text,
      profile: text,
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help === true || positionals.length === 0) return 'help';
  const isAll = positionals[0] === 'all';
  const found = isAll ? questions : questions.filter(({ name }) => name === positionals[0]);
  if (found.length === 0 || positionals.length > 1) {
    const names = [...questions.map(({ name }) => name), 'all'].join(', ');
    throw new Error(`unknown question "${positionals.join(' ')}"; there is: ${names}`);
  }
  const numbers = new Map<NumberOption, number>();
  for (const name of numberNames) {
    const value = values[name];
    if (value !== undefined) numbers.set(name, whole(name, value));
  }
  for (const name of numbers.keys()) {
    if (!found.some(({ defaults }) => name in defaults)) throw notTaken(name, found);
  }
  if (numbers.has('seconds') && numbers.has('events')) {
    throw new Error('--seconds and --events exclude each other');
  }
  if (values.profile !== undefined && (isAll || !found[0]?.takesProfile)) throw notTaken('profile', found);
  const profileDirectory = values.profile === undefined ? undefined : resolve(values.profile);
  return {
    asked: found.map((question) => ({
      question,
      options: { ...optionsOf(question, numbers), profileDirectory },
    })),
    isAll,
    jsonFile: values.json === undefined ? undefined : resolve(values.json),
  };
}

function optionsOf({ defaults }: Question, numbers: ReadonlyMap<NumberOption, number>) {
  const numberOf = (name: NumberOption): number | undefined =>
    name in defaults ? (numbers.get(name) ?? defaults[name]) : undefined;
  return Object.fromEntries(numberNames.map((name) => [name, numberOf(name)])) as Record<
    NumberOption,
    number | undefined
  >;
}

function notTaken(name: string, [question]: readonly Question[]): Error {
  const taken = Object.keys(question?.defaults ?? {}).map((option) => `--${option}`);
  return new Error(`--${name} is not an option of this question; it takes ${taken.join(', ')}`);
}

function whole(name: NumberOption, value: string): number {
  const [min, max] = ranges[name];
  const number = Number(value.replaceAll('_', ''));
  if (Number.isInteger(number) && number >= min && number <= max) return number;
  throw new Error(`--${name} is ${value}; it must be a whole number from ${min} to ${max}`);
}

/** What every question has: a name, the options it takes, a deadline, and an answer. */
import type { BenchRun } from './run/bench-run.js';

/** Numbers that the command line takes; each question says which of them it knows. */
export type NumberOption = 'seconds' | 'events' | 'producers' | 'calls' | 'rows' | 'peak';

export type Options = Readonly<Record<NumberOption, number | undefined>> & {
  /** Where to write CPU profiles of the SDK and the collector; they cost time themselves. */
  readonly profileDirectory: string | undefined;
};

export interface Answer {
  readonly result: Readonly<Record<string, unknown>>;
  /** For people, on stderr. */
  readonly table: string;
  readonly engineVersion: string;
  /** Why the figures are worth nothing; the exit code is then 1. */
  readonly problem?: string | undefined;
}

export interface Question {
  readonly name: string;
  /** One line for the help. */
  readonly asks: string;
  /** The options it takes, with their defaults. */
  readonly defaults: Readonly<Partial<Record<NumberOption, number | undefined>>>;
  readonly takesProfile: boolean;
  /** After so long the run is ended: on a machine that is many times slower than usual. */
  deadlineMs(options: Options): number;
  ask(options: Options, run: BenchRun): Promise<Answer>;
}

/** An option that has a default in `defaults`, or was given. */
export function given(options: Options, name: NumberOption): number {
  const value = options[name];
  if (value === undefined) throw new Error(`the question has no default for --${name}`);
  return value;
}

/** The fault suite's command line. */
import { parseArgs } from 'node:util';
import { isPlantedBug, type PlantedBugName, plantedBugNames } from './planted.js';
import { isScenarioName, type ScenarioName, scenarioNames } from './registry.js';
import { type Encoding, encodings, type ProducerKind, producerKinds } from './scenario.js';

export interface RunCommand {
  readonly kind: 'run';
  readonly scenarios: readonly ScenarioName[];
  readonly isAll: boolean;
  /** Undefined: the short or the full size of each scenario. */
  readonly rounds: number | undefined;
  readonly isFull: boolean;
  readonly seed: number;
  readonly encoding: Encoding;
  readonly producers: ProducerKind;
  readonly plant: PlantedBugName | undefined;
  readonly keep: boolean;
}

export interface PlantedCommand {
  readonly kind: 'planted';
  readonly bugs: readonly PlantedBugName[];
  readonly seed: number;
  readonly encoding: Encoding;
}

export type Command = RunCommand | PlantedCommand | { readonly kind: 'help' } | { readonly kind: 'list' };

export const help = `npm run faults -- --scenario NAME [options]

Breaks what the scenario is named after, again and again, under load, and counts what is stored:
everything acknowledged must be in ClickHouse once, unchanged, and every other number in losses.

Options:
  --scenario NAME   one scenario, several separated by commas, or all; --list shows them
  --rounds N        how often to break it (default: the scenario's short size)
  --full            the sizes of docs/RELIABILITY.md; some scenarios take minutes
  --seed S          the faults' moments and places follow from it (default: a new one, shown at the end)
  --encoding E      how the SDK sends: blocks (the default) or rows; scenarios without the SDK mix both
  --producers P     whose SDK the producers use: typescript (the default) or python
  --planted         plant each bug in turn and see that a scenario catches it
  --plant BUG       with --scenario: run it with that bug; with --planted: that bug alone
  --keep            leave the run's folder for a look at what is in it
  --list            the scenarios and the bugs
  --help            this text

Acknowledged counts sequence numbers: those of events, and of drops that an SDK reported, which are rows in
losses. Where jobs are killed, more is stored than they had been told. Progress goes to stderr; the last line of stdout is the result as JSON. Exit code 1: a promise was broken.

Examples:
  npm run faults -- --scenario kill-collector --rounds 20
  npm run faults -- --scenario all
  npm run faults -- --scenario power-loss --rounds 5000 --seed 7
  npm run faults -- --scenario kill-sdk,fork-sdk,spool --producers python
  npm run faults -- --planted
`;

const wholes = { rounds: { min: 1, max: 10_000_000 }, seed: { min: 0, max: 0xffff_ffff } } as const;

/** A wrong command line is an error whose message can be shown as it is. */
export function parseCommand(args: readonly string[], newSeed: () => number): Command {
  const { values } = parseArgs({
    args: [...args],
    options: {
      scenario: { type: 'string' },
      rounds: { type: 'string' },
      full: { type: 'boolean' },
      seed: { type: 'string' },
      encoding: { type: 'string', default: 'blocks' },
      producers: { type: 'string', default: 'typescript' },
      planted: { type: 'boolean' },
      plant: { type: 'string' },
      keep: { type: 'boolean' },
      list: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.list === true) return { kind: 'list' };
  const seed = values.seed === undefined ? newSeed() : whole('seed', values.seed);
  const encoding = oneOf('encoding', values.encoding, encodings);
  const producers = oneOf('producers', values.producers, producerKinds);
  const plant = values.plant === undefined ? undefined : bug(values.plant);
  if (values.planted === true) {
    if (values.scenario !== undefined) throw new Error('--planted chooses the scenarios itself');
    return { kind: 'planted', bugs: plant === undefined ? plantedBugNames : [plant], seed, encoding };
  }
  if (values.help === true) return { kind: 'help' };
  if (values.scenario === undefined) {
    if (plant !== undefined) throw new Error('--plant needs --scenario or --planted');
    return { kind: 'help' };
  }
  const isAll = values.scenario === 'all';
  return {
    kind: 'run',
    scenarios: isAll ? scenarioNames : values.scenario.split(',').map(scenario),
    isAll,
    rounds: values.rounds === undefined ? undefined : whole('rounds', values.rounds),
    isFull: values.full === true,
    seed,
    encoding,
    producers,
    plant,
    keep: values.keep === true,
  };
}

function whole(name: keyof typeof wholes, text: string): number {
  const value = Number(text.replaceAll('_', ''));
  const { min, max } = wholes[name];
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new Error(`--${name} is ${text}; it must be a whole number from ${min} to ${max}`);
}

function oneOf<Word extends string>(option: string, given: string, words: readonly Word[]): Word {
  const word = words.find((one) => one === given);
  if (word !== undefined) return word;
  throw new Error(`--${option} is ${given}; it must be one of: ${words.join(', ')}`);
}

function scenario(name: string): ScenarioName {
  if (isScenarioName(name)) return name;
  throw new Error(`unknown scenario ${name}; there are: ${scenarioNames.join(', ')}, all`);
}

function bug(name: string): PlantedBugName {
  if (isPlantedBug(name)) return name;
  throw new Error(`unknown bug ${name}; there are: ${plantedBugNames.join(', ')}`);
}

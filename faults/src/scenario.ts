/** What a scenario is: it breaks something `rounds` times, and counts what is stored afterwards. */
import type { PlantedBug } from '@sluice/collector/fault-points.js';
import type { Random } from './random.js';

/** How producers send their events. */
export const encodings = ['blocks', 'rows'] as const;
export type Encoding = (typeof encodings)[number];

/** Which SDK the producers of a run use. */
export const producerKinds = ['typescript', 'python'] as const;
export type ProducerKind = (typeof producerKinds)[number];

export interface ScenarioContext {
  readonly rounds: number;
  readonly seed: number;
  /** Seeded; everything that a scenario chooses comes from it. */
  readonly random: Random;
  /** An empty folder of this run; removed afterwards. */
  readonly folder: string;
  /** The bug that every collector of this run is given, to see whether the scenario notices. */
  readonly plant: PlantedBug | undefined;
  /** How the loggers of the real SDK send; what is sent by hand, or in memory, mixes both at random. */
  readonly encoding: Encoding;
  /** Whose loggers they are, in scenarios with loggers. */
  readonly producers: ProducerKind;
  /** One line of progress, for people; `done` rounds of `rounds`. */
  progress(done: number, text?: string): void;
  /** Adds something to undo when the run ends, however it ends; the last added is undone first. */
  onEnd(undo: () => Promise<void> | void): void;
}

export interface Outcome {
  /** Sequence numbers that were acknowledged to a client: each is an obligation. */
  readonly acknowledged: number;
  /** Rows in `events` (or in the model of it, where a scenario runs in memory). */
  readonly stored: number;
  /** Acknowledged, and neither stored nor in the ledger of losses. */
  readonly lost: number;
  /** Rows beyond the first with the same producer and sequence. */
  readonly duplicated: number;
  /** Rows with a field that is not what its producer logged. */
  readonly altered: number;
  /** Broken promises beyond the three counts, in words; empty if there are none. */
  readonly violations: readonly string[];
  /** Further figures, such as kills or peak memory. */
  readonly figures?: Readonly<Record<string, number | string>>;
}

export interface Scenario {
  readonly name: string;
  /** One line for `--help`. */
  readonly summary: string;
  /** What one round is, such as "kills". */
  readonly unit: string;
  readonly rounds: {
    /** In `npm test`: a few seconds. */
    readonly short: number;
    /** The size that docs/RELIABILITY.md reports. */
    readonly full: number;
  };
  /** Only producers in Python do what it needs, such as forking; it takes no others. */
  readonly onlyPython?: boolean;
  run(context: ScenarioContext): Promise<Outcome>;
}

export function isHeld(outcome: Outcome): boolean {
  const { lost, duplicated, altered, violations } = outcome;
  return lost === 0 && duplicated === 0 && altered === 0 && violations.length === 0;
}

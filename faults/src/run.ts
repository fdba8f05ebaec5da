/** Runs one scenario in a folder of its own and takes everything away again. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PlantedBug } from '@sluice/collector/fault-points.js';
import { Random } from './random.js';
import { loadScenario, type ScenarioName } from './registry.js';
import type { Encoding, Outcome, ProducerKind } from './scenario.js';

export interface RunOptions {
  readonly scenario: ScenarioName;
  /** A number, or the scenario's own `short` or `full` size. */
  readonly rounds: number | 'short' | 'full';
  readonly seed: number;
  readonly encoding: Encoding;
  /** Default: typescript, or python where a scenario needs it. */
  readonly producers?: ProducerKind;
  readonly plant?: PlantedBug | undefined;
  readonly keep?: boolean;
  readonly onProgress?: (done: number, rounds: number, unit: string, text: string) => void;
}

export interface RunResult extends Outcome {
  readonly scenario: ScenarioName;
  readonly rounds: number;
  readonly seed: number;
  readonly encoding: Encoding;
  readonly producers: ProducerKind;
  readonly seconds: number;
}

/** Everything that runs now, to be undone when the process is asked to end. */
const undoing = new Set<() => Promise<void>>();

export async function endAll(): Promise<void> {
  for (const end of [...undoing]) await end();
}

export async function runScenario(options: RunOptions): Promise<RunResult> {
  const { seed, plant, encoding } = options;
  const scenario = await loadScenario(options.scenario);
  const producers = scenario.onlyPython === true ? 'python' : (options.producers ?? 'typescript');
  const rounds = typeof options.rounds === 'number' ? options.rounds : scenario.rounds[options.rounds];
  const folder = await mkdtemp(join(tmpdir(), `sluice-faults-${scenario.name}-`));
  const undos: (() => Promise<void> | void)[] = [];
  const end = async (): Promise<void> => {
    undoing.delete(end);
    for (let undo = undos.pop(); undo !== undefined; undo = undos.pop()) {
      try {
        await undo();
      } catch (error) {
        console.error(`faults: ${scenario.name}: tidying up failed: ${String(error)}`);
      }
    }
    if (options.keep === true) console.error(`faults: ${scenario.name}: kept ${folder}`);
    else await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  undoing.add(end);
  const startMs = performance.now();
  try {
    const outcome = await scenario.run({
      rounds,
      seed,
      random: new Random(seed),
      folder,
      plant,
      encoding,
      producers,
      progress: (done, text = '') => options.onProgress?.(done, rounds, scenario.unit, text),
      onEnd: (undo) => undos.push(undo),
    });
    const seconds = Math.round((performance.now() - startMs) / 100) / 10;
    return { scenario: options.scenario, rounds, seed, encoding, producers, ...outcome, seconds };
  } finally {
    await end();
  }
}

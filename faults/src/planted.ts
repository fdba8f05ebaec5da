/** Which scenario must catch which planted bug, and how many rounds it gets for it. */
import { type PlantedBug, plantedBugs } from '@sluice/collector/fault-points.js';
import type { ScenarioName } from './registry.js';

export type PlantedBugName = PlantedBug;

export const plantedBugNames = Object.keys(plantedBugs) as PlantedBugName[];

export function isPlantedBug(name: string): name is PlantedBugName {
  return name in plantedBugs;
}

export const catcher: Readonly<
  Record<PlantedBugName, { readonly scenario: ScenarioName; readonly rounds: number }>
> = {
  'acknowledge-before-sync': { scenario: 'power-loss', rounds: 200 },
  'no-directory-sync': { scenario: 'power-loss', rounds: 200 },
  'retry-failed-sync': { scenario: 'disk-errors', rounds: 200 },
  'acknowledge-after-failure': { scenario: 'disk-errors', rounds: 200 },
  // Up to the points around the acknowledgment.
  'forget-durable-sequences': { scenario: 'kill-points', rounds: 6 },
  'accept-hole': { scenario: 'hostile-clients', rounds: 500 },
  'skip-checksum': { scenario: 'bit-rot', rounds: 500 },
  'recut-on-replay': { scenario: 'kill-points', rounds: 14 },
  'fresh-token': { scenario: 'store-ambiguous', rounds: 36 },
  'skip-in-doubt-check': { scenario: 'dedup-window', rounds: 2 },
  'believe-status-200': { scenario: 'store-ambiguous', rounds: 36 },
  'remove-before-commit': { scenario: 'kill-collector', rounds: 2 },
  'drop-loss': { scenario: 'overload', rounds: 2 },
  'quarantine-whole-batch': { scenario: 'quarantine', rounds: 2 },
};

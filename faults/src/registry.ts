/** All scenarios, in the order in which `all` runs them: the fast ones in memory first. */
import type { Scenario } from './scenario.js';

export const scenarioNames = [
  'power-loss',
  'disk-errors',
  'bit-rot',
  'disk-full',
  'clock',
  'kill-collector',
  'kill-store',
  'kill-sdk',
  'fork-sdk',
  'kill-all',
  'kill-handed',
  'kill-workers',
  'kill-points',
  'store-ambiguous',
  'dedup-window',
  'store-down',
  'store-slow',
  'quarantine',
  'spool',
  'hostile-clients',
  'overload',
  'drain',
] as const;
export type ScenarioName = (typeof scenarioNames)[number];

export function isScenarioName(name: string): name is ScenarioName {
  return (scenarioNames as readonly string[]).includes(name);
}

/** Each lies in the file of its name. Loaded when it runs, so that one needs nothing of the others. */
export async function loadScenario(name: ScenarioName): Promise<Scenario> {
  const { scenario } = (await import(`./scenarios/${name}.js`)) as { scenario: Scenario };
  return scenario;
}

/** Every scenario at its short size, one after the other: they share the machine with each other badly. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadScenario, type ScenarioName, scenarioNames } from './registry.js';
import { runScenario } from './run.js';
import { type Encoding, isHeld } from './scenario.js';

/** Fixed, so that a failure here is the same failure everywhere. */
const seed = 20_260_101;

/** The others send blocks, as the SDK does by default. In memory, and where no SDK sends, both are mixed. */
const encodingsOf: Partial<Record<ScenarioName, readonly Encoding[]>> = {
  'kill-collector': ['rows'],
  'kill-store': ['rows'],
  'dedup-window': ['rows'],
  clock: ['rows'],
  quarantine: ['blocks', 'rows'],
  spool: ['blocks', 'rows'],
};

/** What an SDK can get wrong is what matters here: its own death, its forks, and a collector that goes away. */
const withPython: readonly ScenarioName[] = [
  'kill-collector',
  'kill-sdk',
  'kill-all',
  'clock',
  'overload',
  'spool',
];

for (const name of scenarioNames) {
  const scenario = await loadScenario(name).catch((error: { code?: string }) => {
    if (error.code === 'ERR_MODULE_NOT_FOUND') return undefined;
    throw error;
  });
  if (scenario === undefined) {
    test(name, { skip: 'its file is not written yet' }, () => {});
    continue;
  }
  const cases = [
    ...(encodingsOf[name] ?? ['blocks']).map((encoding) => ({ encoding, producers: 'typescript' as const })),
    ...(withPython.includes(name) ? (['blocks', 'rows'] as const) : []).map((encoding) => ({
      encoding,
      producers: 'python' as const,
    })),
  ];
  for (const { encoding, producers } of cases) {
    const whose = scenario.onlyPython === true ? 'python' : producers;
    test(`nothing is lost, doubled or altered by ${name}, with ${encoding}, from ${whose}: ${scenario.summary}`, async () => {
      assert.equal(scenario.name, name);
      const result = await runScenario({ scenario: name, rounds: 'short', seed, encoding, producers });
      assert.ok(isHeld(result), JSON.stringify(result, null, 2));
      assert.ok(result.acknowledged > 0, 'nothing was acknowledged: there was nothing to lose');
      assert.ok(result.stored > 0, 'nothing was stored');
    });
  }
}

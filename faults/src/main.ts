/** The fault suite's process: runs scenarios, shows progress on stderr, ends stdout with one line of JSON. */
import { randomInt } from 'node:crypto';
import { plantedBugs } from '@sluice/collector/fault-points.js';
import { help, type PlantedCommand, parseCommand, type RunCommand } from './command-line.js';
import { catcher, plantedBugNames } from './planted.js';
import { loadScenario, scenarioNames } from './registry.js';
import { endAll, type RunResult, runScenario } from './run.js';
import { isHeld } from './scenario.js';

function showProgress(name: string): (done: number, rounds: number, unit: string, text: string) => void {
  let lastMs = 0;
  return (done, rounds, unit, text) => {
    const now = performance.now();
    if (done < rounds && now - lastMs < 1000) return;
    lastMs = now;
    console.error(`  ${name.padEnd(16)} ${String(done).padStart(7)} of ${rounds} ${unit}  ${text}`);
  };
}

function again(result: RunResult, plant: string | undefined): string {
  const planted = plant === undefined ? '' : ` --plant ${plant}`;
  return `npm run faults -- --scenario ${result.scenario} --rounds ${result.rounds} --seed ${result.seed} --encoding ${result.encoding} --producers ${result.producers}${planted}`;
}

function report(result: RunResult, plant: string | undefined): boolean {
  const held = isHeld(result);
  const { scenario, acknowledged, stored, lost, duplicated, altered, violations } = result;
  console.error(
    `${held ? 'ok  ' : 'FAIL'} ${scenario.padEnd(16)} ${String(acknowledged).padStart(11)} acknowledged ${String(stored).padStart(11)} stored  ` +
      `lost ${lost}  duplicated ${duplicated}  altered ${altered}  ${result.encoding}  ${result.producers}  ${result.seconds} s`,
  );
  for (const violation of violations.slice(0, 20)) console.error(`     ${violation}`);
  if (violations.length > 20) console.error(`     and ${violations.length - 20} more`);
  if (!held) console.error(`     again: ${again(result, plant)}`);
  return held;
}

async function run(command: RunCommand): Promise<number> {
  const results: RunResult[] = [];
  let failures = 0;
  for (const scenario of command.scenarios) {
    const result = await runScenario({
      scenario,
      rounds: command.rounds ?? (command.isFull ? 'full' : 'short'),
      seed: command.seed,
      encoding: command.encoding,
      producers: command.producers,
      plant: command.plant,
      keep: command.keep,
      onProgress: showProgress(scenario),
    });
    if (!report(result, command.plant)) failures++;
    results.push(result);
    console.log(JSON.stringify(result));
  }
  if (command.isAll || results.length > 1) {
    const sum = (key: 'acknowledged' | 'stored' | 'lost' | 'duplicated' | 'altered' | 'rounds'): number =>
      results.reduce((total, result) => total + result[key], 0);
    console.log(
      JSON.stringify({
        scenario: command.isAll ? 'all' : command.scenarios.join(','),
        rounds: sum('rounds'),
        seed: command.seed,
        encoding: command.encoding,
        acknowledged: sum('acknowledged'),
        stored: sum('stored'),
        lost: sum('lost'),
        duplicated: sum('duplicated'),
        altered: sum('altered'),
        failed: results.filter((result) => !isHeld(result)).map(({ scenario }) => scenario),
      }),
    );
  }
  return failures === 0 ? 0 : 1;
}

async function runPlanted({ bugs, seed, encoding }: PlantedCommand): Promise<number> {
  const missed: string[] = [];
  const caught: Record<string, string> = {};
  for (const bug of bugs) {
    const { scenario, rounds } = catcher[bug];
    let how: string | undefined;
    try {
      const result = await runScenario({
        scenario,
        rounds,
        seed,
        encoding,
        plant: bug,
        onProgress: showProgress(scenario),
      });
      const { lost, duplicated, altered, violations } = result;
      if (!isHeld(result)) {
        how = `lost ${lost}, duplicated ${duplicated}, altered ${altered}${violations.length > 0 ? `; ${violations[0]}` : ''}`;
      }
    } catch (error) {
      // A scenario that cannot even run must not count as one that has noticed.
      console.error(`ERROR  ${bug}: ${String(error)}`);
    }
    if (how === undefined) missed.push(bug);
    else caught[bug] = scenario;
    console.error(
      `${how === undefined ? 'MISSED' : 'caught'} ${bug.padEnd(26)} by ${scenario.padEnd(16)} ${how ?? ''}`,
    );
  }
  console.log(JSON.stringify({ planted: bugs.length, caught, missed, seed, encoding }));
  return missed.length === 0 ? 0 : 1;
}

async function list(): Promise<void> {
  console.log('scenarios (short and full rounds):');
  for (const name of scenarioNames) {
    const { summary, rounds, unit } = await loadScenario(name);
    console.log(`  ${name.padEnd(18)} ${`${rounds.short} / ${rounds.full} ${unit}`.padEnd(24)} ${summary}`);
  }
  console.log('\nbugs that can be planted (and the scenario that catches each):');
  for (const bug of plantedBugNames) {
    console.log(`  ${bug.padEnd(26)} ${catcher[bug].scenario.padEnd(16)} ${plantedBugs[bug]}`);
  }
}

async function main(): Promise<number> {
  let command: ReturnType<typeof parseCommand>;
  try {
    command = parseCommand(process.argv.slice(2), () => randomInt(0x1_0000_0000));
  } catch (error) {
    console.error(`faults: ${(error as Error).message}\n(npm run faults -- --help shows what is allowed)`);
    return 2;
  }
  switch (command.kind) {
    case 'help':
      console.log(help);
      return 0;
    case 'list':
      await list();
      return 0;
    case 'run':
      return run(command);
    case 'planted':
      return runPlanted(command);
  }
}

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  process.once(signal, () => {
    console.error(`\n${signal}: ending the suite's processes`);
    void endAll().finally(() => process.exit(code));
  });
}
try {
  process.exitCode = await main();
} catch (error) {
  console.error('faults:', error);
  process.exitCode = 1;
}

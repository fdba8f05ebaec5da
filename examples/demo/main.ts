/**
 * `npm run demo`: a collector with its embedded store, real work logged through the SDK by three
 * processes, and the answers from SQL. The last line says whether every event that was logged is stored
 * once; exits 1 if not. `--keep` leaves the service running.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { drawChart } from './chart.js';
import { LiveLine } from './live-line.js';
import { Questions } from './questions.js';
import { type Ready, Service } from './service.js';
import { project, Workers } from './workers.js';

const ranks = 2;
const steps = 800;
const visibleMs = 30_000;

/** From examples/dist/demo. */
const root = fileURLToPath(new URL('../../../', import.meta.url));

const keep = process.argv.includes('--keep');
const unknown = process.argv.slice(2).filter((argument) => argument !== '--keep');
if (unknown.length > 0) {
  console.error(
    `demo: unknown argument ${unknown.join(' ')}; allowed is --keep, which leaves everything running`,
  );
  process.exit(2);
}

const folder = mkdtempSync(join(tmpdir(), 'sluice-demo-'));
const service = new Service({ root, folder, keep });
let workers: Workers | undefined;
let cleaning: Promise<void> | undefined;

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (cleaning !== undefined) {
      service.endNow();
      process.exit(1);
    }
    console.error(`\ndemo: ${signal}, stopping`);
    void cleanUp().then(() => process.exit(1));
  });
}

// A reader that went away, as with `| head`: there is nobody to show anything to.
process.stdout.on('error', () => {
  void cleanUp().then(() => process.exit(1));
});

try {
  const isWhole = await demonstrate();
  if (isWhole && keep) service.release();
  else await cleanUp();
  process.exit(isWhole ? 0 : 1);
} catch (error) {
  // A signal ends processes under the work; it is not the work that failed.
  if (cleaning === undefined) {
    console.error(`demo: ${error instanceof Error ? error.message : String(error)}`);
    await cleanUp();
    process.exit(1);
  }
}

function cleanUp(): Promise<void> {
  cleaning ??= (async () => {
    workers?.stop();
    await service.stop();
    rmSync(folder, { recursive: true, force: true });
  })();
  return cleaning;
}

async function demonstrate(): Promise<boolean> {
  console.log('demo: starting the collector and its embedded ClickHouse');
  const ready = await service.start();
  console.log(`demo: gRPC ${ready.grpc}, store ${ready.store}\n`);
  console.log(
    `Two ranks train a character-level language model on proto/sluice/v1/collector.proto (${steps} steps);`,
  );
  console.log('a third process replays requests that an LLM inference service recorded.');

  const { logged, acknowledged } = await work(ready);
  const questions = new Questions(ready.store);
  const { stored, duplicated } = await questions.waitFor(acknowledged, visibleMs);
  await answer(questions);
  if (keep) explain(ready);
  const lost = logged - stored;
  console.log(
    `demo: logged=${logged} acknowledged=${acknowledged} stored=${stored} lost=${lost} duplicated=${duplicated}`,
  );
  return acknowledged === logged && lost === 0 && duplicated === 0;
}

async function work(ready: Ready): Promise<{ logged: number; acknowledged: number }> {
  workers = new Workers({
    endpoint: ready.grpc,
    ranks,
    steps,
    text: join(root, 'proto', 'sluice', 'v1', 'collector.proto'),
    requests: join(root, 'examples', 'fixtures', 'llm-inference-requests.csv'),
  });
  const { progress } = workers;
  const line = new LiveLine(
    () => `  step ${progress.step}/${steps}  loss ${progress.loss.toFixed(3)}  requests ${progress.requests}`,
  );
  line.start();
  try {
    const counts = await workers.run();
    return {
      logged: counts.reduce((sum, count) => sum + count.logged, 0),
      acknowledged: counts.reduce((sum, count) => sum + count.acknowledged, 0),
    };
  } finally {
    line.stop();
  }
}

async function answer(questions: Questions): Promise<void> {
  const ask = async (title: string, sql: string): Promise<void> => {
    console.log(`\n${title}\n  ${sql}\n`);
    process.stdout.write(await questions.table(sql));
  };
  await ask(
    'Events of each run and rank:',
    `SELECT run_id, rank, count() AS events, max(step) AS last_step FROM events WHERE project = '${project}' GROUP BY run_id, rank ORDER BY run_id, rank`,
  );
  const curve =
    "SELECT intDiv(step - 1, 10) * 10 + 1 AS first_step, avg(metrics['loss']) AS loss FROM events WHERE name = 'train.step' GROUP BY first_step ORDER BY first_step";
  console.log(`\nThe loss, mean of both ranks and of ten steps:\n  ${curve}\n`);
  const chart = { width: 64, height: 13, xLabel: 'step', yLabel: 'loss (nats a character)' };
  process.stdout.write(drawChart(await questions.lossCurve(curve), chart));
  await ask(
    'Time of a step:',
    "SELECT rank, round(quantileExact(0.5)(metrics['step_time_ms']), 2) AS p50_ms, round(quantileExact(0.99)(metrics['step_time_ms']), 2) AS p99_ms FROM events WHERE name = 'train.step' GROUP BY rank ORDER BY rank",
  );
  await ask(
    'Tokens of the recorded requests:',
    "SELECT key AS figure, count() AS requests, quantileExact(0.5)(value) AS p50, quantileExact(0.99)(value) AS p99 FROM events ARRAY JOIN mapKeys(metrics) AS key, mapValues(metrics) AS value WHERE name = 'inference.request' GROUP BY key ORDER BY key",
  );
  console.log();
}

function explain(ready: Ready): void {
  console.log(`Left running. Explore it:
  npx sluice runs --store ${ready.store}
  npx sluice sql "SELECT * FROM events ORDER BY time DESC LIMIT 5" --store ${ready.store}
  curl ${ready.store} --data 'SELECT name, count() FROM events GROUP BY name'
  SLUICE_ENDPOINT=${ready.grpc} npx tsx examples/replay-training-logs.ts DIR
Stop it:
  kill ${ready.pid}
  rm -r ${folder}   (once it has ended)
`);
}

/**
 * A constraint refuses some of the events, and the collector is killed while it finds out which: good
 * events are stored once, bad ones are in quarantine and in the ledger once. Then the constraint is
 * dropped, a replay is killed on its way, another one finishes, and everything is stored.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { FaultPoint } from '@sluice/collector/fault-points.js';
import { judge } from '../oracle/judge.js';
import { becomes, pause } from '../rig/deadline.js';
import { Rig } from '../rig/rig.js';
import type { Scenario } from '../scenario.js';
import type { StoreClient } from '../store-client.js';

/** Two neighbours of every 800, as SQL: the same segment has bad events beside each other and far apart. */
const isBad = 'intDiv(sequence, 2) % 400 = 7';
const points: readonly (FaultPoint | 'anywhere')[] = [
  'quarantine.before',
  'quarantine.after',
  'insert.after',
  'anywhere',
  'insert.before',
  'in-doubt-check.after',
];
const sluice = fileURLToPath(new URL('../../../collector/bin/sluice.js', import.meta.url));
const reachTimeoutMs = 120_000;
const replayTimeoutMs = 300_000;
const settleTimeoutMs = 300_000;

export const scenario: Scenario = {
  name: 'quarantine',
  summary: 'ClickHouse refuses some events for good, and the collector dies while it finds out which',
  unit: 'kills',
  rounds: { short: points.length, full: 120 },
  async run(context) {
    const { random, rounds } = context;
    const rig = await Rig.start(context, {
      run: 'quarantine',
      // Segments that are worth a bisection.
      collector: { wal: { segmentAgeMs: 300, segmentMostAgeMs: 300, segmentEvents: 1000 } },
      producers: { eventsPerSecond: 1500 },
    });
    const { collector, fleet, store, violations } = rig;
    await store.client.sql(`ALTER TABLE events ADD CONSTRAINT no_bad CHECK NOT (${isBad})`);
    await fleet.start();
    for (let round = 1; round <= rounds; round++) {
      const point = points[(round - 1) % points.length] as FaultPoint | 'anywhere';
      await collector.kill();
      const hit = point.startsWith('quarantine.') ? random.whole(1, 2) : random.whole(1, 30);
      collector.killAt = point === 'anywhere' ? undefined : { point, hit };
      const started = await collector.startOrDie();
      if (point === 'anywhere') await pause(random.whole(100, 2500));
      else if (started === 'up' && !(await becomes(() => !collector.isAlive, reachTimeoutMs)))
        violations.push(`${point} was not reached ${hit} times within ${reachTimeoutMs} ms`);
      context.progress(round, `${point}, ${fleet.acknowledged} acknowledged`);
    }
    await collector.kill();
    collector.killAt = undefined;
    await collector.start();
    await fleet.finish();
    // What a busy machine has not bisected yet is no loss.
    if (!(await becomes(() => collector.segments <= 1, settleTimeoutMs, 200)))
      violations.push(`${collector.segments} segments are left after ${settleTimeoutMs} ms`);
    await collector.end();
    const verdict = await judge(store.client, fleet.accounts, { origins: ['sdk', 'store'] });
    const kept = await checkQuarantine(store.client);
    violations.push(
      ...[...verdict.violations, ...kept.violations].map((text) => `before the replay: ${text}`),
    );

    await store.client.sql('ALTER TABLE events DROP CONSTRAINT no_bad');
    const replays = { killed: 0 };
    const first = await replay(store.url, random.whole(300, 2500));
    if (first === 'killed') replays.killed++;
    const last = await replay(store.url, replayTimeoutMs);
    if (last !== 0) violations.push(`the replay ended with ${last}`);
    const { left } = await store.client.row<{ left: number }>(
      "SELECT (SELECT count() FROM quarantine) + (SELECT count() FROM losses WHERE origin = 'store') AS left",
    );
    if (left > 0) violations.push(`${left} rows of quarantine and losses are left after the replay`);
    const outcome = await rig.finish({
      quarantined: kept.events,
      batches_in_part: kept.batches,
      replays_killed: replays.killed,
    });
    return { ...outcome, lost: Math.max(outcome.lost, verdict.lost) };
  },
};

/** Bad events are in quarantine and in the ledger, each once and with the same range; good ones are not. */
async function checkQuarantine(
  store: StoreClient,
): Promise<{ events: number; batches: number; violations: string[] }> {
  const numbersOf = (from: string): string =>
    `SELECT producer_id, arrayJoin(range(first_sequence, last_sequence + 1)) AS sequence FROM ${from}`;
  const kept = numbersOf('quarantine');
  const lost = numbersOf("losses WHERE origin = 'store' AND reason = 'quarantined'");
  const counts = await store.row<Record<string, number>>(`
    SELECT
      (SELECT count() FROM (${kept})) AS kept,
      (SELECT count() - uniqExact(producer_id, sequence) FROM (${kept})) AS kept_twice,
      (SELECT countIf(NOT (${isBad})) FROM (${kept})) AS good_kept,
      (SELECT count() FROM (${kept}) WHERE (producer_id, sequence) NOT IN (${lost})) AS not_in_losses,
      (SELECT count() FROM (${lost}) WHERE (producer_id, sequence) NOT IN (${kept})) AS not_kept,
      (SELECT count() FROM (${kept}) WHERE (producer_id, sequence) IN (SELECT producer_id, sequence FROM events)) AS stored_too,
      (SELECT countIf(events != last_sequence - first_sequence + 1 OR error_code != 469 OR request = '') FROM quarantine) AS wrong_rows,
      (SELECT uniqExact(substring(batch_id, 1, 36)) FROM events WHERE batch_id LIKE '%.%') AS batches`);
  const violations = [
    ['kept_twice', 'events are in quarantine twice'],
    ['good_kept', 'events are in quarantine that no constraint refuses'],
    ['not_in_losses', 'events in quarantine are not in losses'],
    ['not_kept', 'events that losses calls quarantined are not in quarantine'],
    ['stored_too', 'events are stored and in quarantine'],
    ['wrong_rows', 'rows of quarantine are wrong in themselves'],
  ].flatMap(([name, text]) =>
    (counts[name as string] ?? 0) > 0 ? [`${counts[name as string]} ${text}`] : [],
  );
  const events = counts['kept'] ?? 0;
  if (events === 0) violations.push('nothing was quarantined, so nothing was tried');
  return { events, batches: counts['batches'] ?? 0, violations };
}

/** Runs `sluice quarantine replay`; kills it after `killAfterMs`. Resolves to its exit code. */
async function replay(storeUrl: string, killAfterMs: number): Promise<number | 'killed'> {
  const child = spawn(process.execPath, [sluice, 'quarantine', 'replay'], {
    // What it says to people, such as the next command, is about another store than theirs.
    stdio: ['ignore', 'ignore', process.stderr],
    env: { ...process.env, SLUICE_STORE_URL: storeUrl },
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), killAfterMs);
  const [code] = (await once(child, 'exit')) as [number | null];
  clearTimeout(timer);
  return code ?? 'killed';
}

/**
 * The collector kills itself at each named point, at its 1st to 20th visit there. A point that it never
 * comes by is a violation: that kill would prove nothing.
 */
import { type FaultPoint, faultPoints } from '@sluice/collector/fault-points.js';
import { becomes } from '../rig/deadline.js';
import { Rig } from '../rig/rig.js';
import type { Scenario } from '../scenario.js';

/** Those of the quarantine need a row that ClickHouse refuses: the scenario of that name has one. */
const points = faultPoints.filter((point) => !point.startsWith('quarantine.'));
/** The SDK's connection alone may take 5 s to come back (gRPC's own pauses). */
const reachTimeoutMs = 120_000;
const mostHits = 20;
/** Segments that a kill may leave for the next start. */
const mostReplayed = 4;
const drainTimeoutMs = 30_000;

function isInDoubt(point: FaultPoint): boolean {
  return point.startsWith('in-doubt-check.');
}

export const scenario: Scenario = {
  name: 'kill-points',
  summary: 'the collector dies at each named point: append, fsync, acknowledge, seal, insert, check, delete',
  unit: 'kills',
  rounds: { short: points.length, full: points.length * 10 },
  async run(context) {
    const { random, rounds } = context;
    const rig = await Rig.start(context, {
      run: 'kill-points',
      withProxy: true,
      // Young segments, so that the 20th visit to a point of theirs is soon, and few rows of losses, which
      // are inserts of their own: the store should keep up, so that kills hit live segments, not only replays.
      collector: { wal: { segmentAgeMs: 80, segmentMostAgeMs: 80 } },
      producers: { lossEvery: 1999, eventsPerSecond: 2000 },
    });
    const { collector, fleet, proxy } = rig;
    let point: FaultPoint = points[0] as FaultPoint;
    // In-doubt questions follow failed inserts, so that they come as often as is needed.
    proxy.onExchange = async (exchange) => {
      if (exchange.kind === 'insert' && isInDoubt(point) && random.chance(0.7)) {
        await exchange.forward();
        exchange.cut();
      } else await exchange.pass();
    };
    await Promise.all([fleet.start(), fleet.start()]);
    let visits = 0;
    for (let round = 1; round <= rounds; round++) {
      point = points[(round - 1) % points.length] as FaultPoint;
      // In the first pass behind the replay and soon after it, in the others anywhere.
      const isFirstPass = round <= points.length;
      const hit = isFirstPass ? random.whole(mostReplayed + 2, mostHits / 2) : random.whole(1, mostHits);
      await keepUp(rig);
      await collector.kill();
      collector.killAt = { point, hit };
      const started = await collector.startOrDie();
      const died = started === 'died' || (await becomes(() => !collector.isAlive, reachTimeoutMs));
      if (!died) {
        rig.violations.push(`${point} was not reached ${hit} times within ${reachTimeoutMs} ms`);
      } else visits++;
      context.progress(round, `${point} × ${hit}, ${fleet.acknowledged} acknowledged`);
    }
    collector.killAt = undefined;
    await collector.kill();
    await collector.start();
    return rig.finish({ kills_at_points: visits });
  },
};

/** Lets a backlog go first, or all kills would hit the replay of what earlier kills left. */
async function keepUp({ collector }: Rig): Promise<void> {
  if (collector.segments <= mostReplayed) return;
  collector.killAt = undefined;
  if (!collector.isAlive) await collector.start();
  await becomes(() => collector.segments <= 2, drainTimeoutMs);
}

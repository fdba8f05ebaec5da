/** Kills in the middle of a bisection: the next start goes on where the tables say that it stopped. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import {
  addConstraint,
  assertExact,
  bad,
  close,
  config,
  dropConstraint,
  log,
  makeRequests,
  open,
  settled,
  start,
  stopCollector,
} from './quarantine-harness.js';

beforeEach(open);
afterEach(close);

const kills: readonly {
  readonly point: 'quarantine.before' | 'quarantine.after' | 'insert.after' | 'insert.before';
  readonly hits: readonly number[];
}[] = [
  { point: 'quarantine.before', hits: [1] },
  { point: 'quarantine.after', hits: [1] },
  { point: 'insert.before', hits: [4, 20] },
  { point: 'insert.after', hits: [2, 4, 9, 37] },
];
for (const { point, hits } of kills) {
  test(`after kill -9 at ${point} in a bisection and a restart, nothing is doubled and nothing lost`, async () => {
    const isBad = (sequence: number): boolean => [5, 700, 701, 1200].includes(sequence);
    const requests = (producer: number) => makeRequests({ producer, events: 1200, perRequest: 250, isBad });
    await start(config(1200));
    await addConstraint();
    for (const [round, hit] of hits.entries()) {
      await stopCollector();
      const broken = await start(config(1200), { killAt: { point, hit } });
      await log(requests(round + 1));
      assert.equal(await broken.exited, null, `${point} was not reached ${hit} times`);
      await start(config(1200));
      await settled(1200 * (round + 1));
      await assertExact(1200, bad(1200, isBad), round + 1);
    }
  });
}

test('after a second kill while the first is being repaired, nothing is doubled and nothing lost', async () => {
  const isBad = (sequence: number): boolean => sequence % 100 === 0;
  await start(config(1000));
  await addConstraint();
  await stopCollector();
  let broken = await start(config(1000), { killAt: { point: 'insert.after', hit: 12 } });
  await log(makeRequests({ events: 1000, perRequest: 250, isBad }));
  await broken.exited;
  for (const killAt of [
    { point: 'insert.after', hit: 9 },
    { point: 'quarantine.before', hit: 1 },
    { point: 'quarantine.after', hit: 1 },
  ] as const) {
    broken = await start(config(1000), { killAt });
    await broken.exited;
  }
  await start(config(1000));
  await settled(1000);
  await assertExact(1000, bad(1000, isBad));
});

test('when the constraint is dropped in the middle of a bisection, every event is stored or quarantined once', async () => {
  await start(config(2000));
  await addConstraint();
  await stopCollector();
  const broken = await start(config(2000), { killAt: { point: 'insert.after', hit: 10 } });
  await log(makeRequests({ events: 2000, perRequest: 400, isBad: (sequence) => sequence % 300 === 0 }));
  await broken.exited;
  await dropConstraint();
  await start(config(2000));
  await settled(2000);
  await assertExact(2000, []);
});

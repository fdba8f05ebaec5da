/** Fills an empty store with many runs' events, by the SQL of stored-events.ts. */
import { eventsColumns } from '@sluice/collector/encode/encode-segment.js';
import { prepareSchema } from '@sluice/collector/store/schema.js';
import { monotonicMs } from '../measure/clock.js';
import { insertOfRun, type StorePlan } from '../workload/stored-events.js';
import { readTrainingLog } from '../workload/training-log.js';
import { sql } from './store-sql.js';

/** As many as the store runs at the same time. */
const insertsAtOnce = 2;
const tellEvery = 50;
const schemaMs = 30_000;

/** Returns how long it took, in milliseconds. */
export async function fillStore(
  storeUrl: string,
  plan: StorePlan,
  tell: (text: string) => void,
): Promise<number> {
  const schema = await prepareSchema({ url: storeUrl, database: 'default' }, eventsColumns, schemaMs);
  if (schema.kind !== 'ready') throw new Error(`the schema: ${schema.problem}`);
  const inserts = plan.runs * plan.inserts;
  tell(`filling: ${plan.rows.toLocaleString('en-US')} rows in ${inserts} inserts`);
  const sections = readTrainingLog();
  const startMs = monotonicMs();
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < inserts) {
      const index = next++;
      // Runs go on side by side, so that the parts of a day hold all of them.
      const place = { run: index % plan.runs, insert: Math.floor(index / plan.runs) };
      await sql(storeUrl, insertOfRun(plan, place, sections));
      if ((index + 1) % tellEvery === 0) tell(`filling: ${index + 1} of ${inserts} inserts`);
    }
  };
  await Promise.all(Array.from({ length: insertsAtOnce }, work));
  return monotonicMs() - startMs;
}

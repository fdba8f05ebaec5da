/** The batches that are in `events`: one INSERT each. */
import { sql } from './store-sql.js';

export interface Batch {
  readonly id: string;
  readonly rows: number;
}

export async function readBatches(storeUrl: string): Promise<Batch[]> {
  const answer = await sql(
    storeUrl,
    'SELECT batch_id, count() FROM events GROUP BY batch_id ORDER BY batch_id FORMAT TabSeparated',
  );
  return answer
    .trimEnd()
    .split('\n')
    .map((line) => {
      const [id, rows] = line.split('\t');
      return { id: id!, rows: Number(rows) };
    });
}

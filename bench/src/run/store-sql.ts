/** SQL over HTTP, for what the bench itself wants to know. */

export async function sql(url: string, statement: string): Promise<string> {
  const response = await fetch(url, { method: 'POST', body: statement });
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${text.trim().slice(0, 500)} in: ${statement.slice(0, 200)}`);
  return text;
}

/** The single row of an answer in TabSeparated, as numbers. */
export function numbersOf(answer: string): number[] {
  return answer.trimEnd().split('\t').map(Number);
}

/** Rows that merges have written since the engine started. */
export const mergedRowsQuery =
  "SELECT sum(value) FROM system.events WHERE event = 'MergedRows' FORMAT TabSeparated";

/** Parts that a query has to read; merges make them fewer. */
export const activePartsQuery = `SELECT count() FROM system.parts
  WHERE active AND database = currentDatabase() AND table = 'events' FORMAT TabSeparated`;

/**
 * Rows, and rows whose producer and number are there already. Exact: numbers of a producer have no holes, so that bitmaps
 * hold tens of millions of them in a few megabytes, where a set of them would take gigabytes.
 */
export const duplicatesQuery = `SELECT sum(found), sum(found - distinct_found) FROM
  (SELECT count() AS found, groupBitmap(sequence) AS distinct_found FROM events GROUP BY producer_id)`;

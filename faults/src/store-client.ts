/** SQL over HTTP, as the suite asks the store. Errors hold ClickHouse's own words. */

/** A check of tens of millions of rows takes its time on two cores. */
const answerTimeoutMs = 600_000;

export class StoreClient {
  readonly url: string;

  constructor(url: string) {
    this.url = url;
  }

  /** Runs one statement; the answer's text. */
  async sql(query: string, data?: string | Uint8Array): Promise<string> {
    const search = new URLSearchParams({ wait_end_of_query: '1', max_query_size: '10000000' });
    if (data !== undefined) search.set('query', query);
    const response = await fetch(`${this.url}/?${search}`, {
      method: 'POST',
      body: data ?? query,
      signal: AbortSignal.timeout(answerTimeoutMs),
    });
    const text = await response.text();
    if (response.status !== 200) throw new Error(`${text.slice(0, 1000)}\nin: ${query.slice(0, 1000)}`);
    return text;
  }

  /** The rows of a SELECT. 64-bit numbers come as numbers: all of ours are small. */
  async rows<Row>(query: string): Promise<Row[]> {
    const text = await this.sql(
      `${query}\nSETTINGS output_format_json_quote_64bit_integers = 0 FORMAT JSONEachRow`,
    );
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Row);
  }

  async row<Row>(query: string): Promise<Row> {
    const [row] = await this.rows<Row>(query);
    if (row === undefined) throw new Error(`no row from: ${query.slice(0, 1000)}`);
    return row;
  }
}

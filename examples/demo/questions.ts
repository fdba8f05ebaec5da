/** What the demo asks the store, in SQL over plain HTTP: `curl` would do the same. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Point } from './chart.js';

const pollMs = 200;

export interface Stored {
  readonly stored: number;
  readonly duplicated: number;
}

export class Questions {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  async stored(): Promise<Stored> {
    const [row] = await this.rows<Stored>(
      'SELECT count() AS stored, count() - uniqExact(producer_id, sequence) AS duplicated FROM events',
    );
    return { stored: Number(row?.stored), duplicated: Number(row?.duplicated) };
  }

  /** Acknowledged events become visible within about two seconds; waits until they are, or the deadline. */
  async waitFor(events: number, deadlineMs: number): Promise<Stored> {
    const giveUpMs = performance.now() + deadlineMs;
    for (;;) {
      const found = await this.stored();
      if (found.stored >= events || performance.now() > giveUpMs) return found;
      await delay(pollMs);
    }
  }

  async lossCurve(sql: string): Promise<Point[]> {
    const rows = await this.rows<{ first_step: number; loss: number }>(sql);
    return rows.map(({ first_step, loss }) => ({ x: Number(first_step), y: loss }));
  }

  /** A table as ClickHouse draws it. */
  async table(sql: string): Promise<string> {
    const plain = 'output_format_pretty_color=0&output_format_pretty_row_numbers=0';
    return this.#post(sql, `default_format=PrettyCompactMonoBlock&${plain}`);
  }

  async rows<Row>(sql: string): Promise<Row[]> {
    const text = await this.#post(sql, 'default_format=JSONEachRow');
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Row);
  }

  async #post(sql: string, settings: string): Promise<string> {
    const response = await fetch(`${this.#url}/?${settings}`, { method: 'POST', body: sql });
    const text = await response.text();
    if (!response.ok) throw new Error(`the store refuses ${sql}: ${text.trim()}`);
    return text;
  }
}

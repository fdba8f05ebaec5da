/** What hostile clients got stored must be what the collector accepted, as a second reading of it says. */
import type { StoreClient } from '../store-client.js';
import { doubleText, producerIdOf, type ReferenceEvent, readRequest, sequencesOf } from './reference.js';

interface Expected {
  readonly event: ReferenceEvent;
  readonly kind: string;
  /** Whether it must be there, or only may: nobody was told what became of the call. */
  isCertain: boolean;
}

interface Row {
  readonly id: string;
  readonly sequence: string;
  readonly nano: string;
  readonly name: string;
  readonly severity_number: number;
  readonly body: string;
  readonly step: string | null;
  readonly metric_keys: string[];
  readonly metric_bits: string[];
  readonly attribute_keys: string[];
  readonly attribute_values: string[];
  readonly trace: string;
  readonly span: string;
}

const mostViolations = 50;

export class ExpectedRows {
  readonly #rows = new Map<string, Expected>();
  #certain = 0;

  get count(): number {
    return this.#certain;
  }

  /**
   * Messages of one call, in order, of which the collector took those up to here.
   *
   * @param rejected numbers that the answer names as rejected; undefined: nobody was told
   */
  add(kind: string, messages: readonly Buffer[], rejected: ReadonlySet<string> | undefined): void {
    let producer: string | undefined;
    for (const message of messages) {
      const request = readRequest(message);
      if (producer === undefined && request.producer !== undefined) {
        producer = producerIdOf(request.producer).toString('hex');
      }
      const sequences = sequencesOf(request);
      for (const [index, event] of request.events.entries()) {
        const sequence = String(sequences[index]);
        if (rejected?.has(sequence) === true) continue;
        this.#rows.set(`${producer} ${sequence}`, { event, kind, isCertain: rejected !== undefined });
        if (rejected !== undefined) this.#certain++;
      }
    }
  }

  /** What a producer of this id, in hex, sent. */
  kindOf(producerId: string): string {
    const key = [...this.#rows.keys()].find((key) => key.startsWith(producerId));
    return key === undefined ? 'unknown' : `${this.#rows.get(key)?.kind}, ${key}`;
  }

  /** Compares with every row that is not one of the healthy producers'. */
  async compare(store: StoreClient, healthy: readonly string[]): Promise<string[]> {
    const rows = await store.rows<Row>(`
      SELECT lower(replaceAll(toString(producer_id), '-', '')) AS id, toString(sequence) AS sequence,
        toString(toUnixTimestamp64Nano(time)) AS nano, name, severity_number, body, toString(step) AS step,
        mapKeys(metrics) AS metric_keys,
        arrayMap(value -> toString(reinterpretAsUInt64(value)), mapValues(metrics)) AS metric_bits,
        mapKeys(attributes) AS attribute_keys, mapValues(attributes) AS attribute_values,
        lower(hex(trace_id)) AS trace, lower(hex(span_id)) AS span
      FROM events WHERE ${notHealthy(healthy)}`);
    const violations: string[] = [];
    const seen = new Set<string>();
    const violate = (text: string): void => {
      if (violations.length < mostViolations) violations.push(text);
    };
    for (const row of rows) {
      const key = `${row.id} ${row.sequence}`;
      const expected = this.#rows.get(key);
      if (expected === undefined)
        violate(`stored although nothing of it was accepted: ${JSON.stringify(row).slice(0, 300)}`);
      else {
        if (seen.has(key)) violate(`${expected.kind}: stored twice: ${key}`);
        const column = differs(expected.event, row);
        if (column !== undefined)
          violate(`${expected.kind}: ${column} of ${key} is altered: ${JSON.stringify(row).slice(0, 400)}`);
      }
      seen.add(key);
    }
    for (const [key, { kind, isCertain }] of this.#rows) {
      if (isCertain && !seen.has(key)) violate(`${kind}: accepted and not stored: ${key}`);
    }
    return violations;
  }
}

export function notHealthy(healthy: readonly string[]): string {
  return `producer_id NOT IN (${healthy.map((id) => `toUUID('${id}')`).join(', ')})`;
}

/** The first column in which they differ. */
function differs(event: ReferenceEvent, row: Row): string | undefined {
  if (event.timeUnixNano !== 0n && String(event.timeUnixNano) !== row.nano) return 'time';
  if (event.name !== row.name) return 'name';
  if (event.severity !== row.severity_number) return 'severity_number';
  if (event.body !== row.body) return 'body';
  if ((event.step === undefined ? null : String(event.step)) !== row.step) return 'step';
  if (event.traceId !== row.trace) return 'trace_id';
  if (event.spanId !== row.span) return 'span_id';
  const bits = row.metric_bits.map((text) => doubleText(BigInt(text)));
  if (!sameMap(event.metrics, row.metric_keys, bits)) return 'metrics';
  if (!sameMap(event.attributes, row.attribute_keys, row.attribute_values)) return 'attributes';
  return undefined;
}

function sameMap(
  map: ReadonlyMap<string, string>,
  keys: readonly string[],
  values: readonly string[],
): boolean {
  return map.size === keys.length && keys.every((key, index) => map.get(key) === values[index]);
}

import type { WireBlock, WireEvent } from './wire.js';

/** An event of a block and the offset of its number. */
export interface Unblocked {
  readonly offset: number;
  readonly event: WireEvent;
}

/**
 * The events of a block as the contract describes them, absent fields absent, as if each had been sent on its own.
 * Throws for a block that breaks the contract.
 */
export function unblock(block: WireBlock): Unblocked[] {
  const { count = 0, sequence_delta: deltas = [] } = block;
  const offsets = sums(deltas.map(BigInt)).map(Number);
  const times = sums((block.time_delta ?? []).map(BigInt)).map((time) => BigInt.asUintN(64, time).toString());
  const steps = block.step_delta && sums(block.step_delta.map(BigInt)).map(String);
  const metricNames = block.metric_name ?? [];
  const attributeNames = block.attribute_name ?? [];
  const metrics = block.metric ?? [];
  expect(count >= 1, 'a count');
  expect(offsets.length === count && times.length === count, 'an offset and a time for each event');
  expect(steps === undefined || steps.length === count, 'a step for each event, or none');
  expect(
    offsets.every((offset, row) => row === 0 || offset > offsets[row - 1]!),
    'ascending offsets',
  );
  expect(new Set(metricNames).size === metricNames.length, 'no metric name twice');
  expect(new Set(attributeNames).size === attributeNames.length, 'no attribute name twice');
  expect(metrics.length === count * metricNames.length, 'a row of metrics for each event');
  const severities = block.severity_number ?? Buffer.from([9]);
  expect(severities.length === 1 || severities.length === count, 'a severity for each event, or one');
  const bodies = block.body && texts(block.body);
  expect(bodies === undefined || bodies.length === count, 'a body for each event, or none');
  const attributes = texts(block.attribute ?? Buffer.alloc(0));
  const isConstant = attributes.length === attributeNames.length;
  expect(
    isConstant || attributes.length === count * attributeNames.length,
    'attributes for each event, or once',
  );
  const ids = (all: Buffer | undefined, size: number, row: number) => {
    expect(all === undefined || all.length === count * size, 'an id for each event, or none');
    return all?.subarray(row * size, (row + 1) * size);
  };
  return offsets.map((offset, row) => {
    const severity = severities[severities.length === 1 ? 0 : row]!;
    const traceId = ids(block.trace_id, 16, row);
    const spanId = ids(block.span_id, 8, row);
    const ownMetrics = metrics.slice(row * metricNames.length, (row + 1) * metricNames.length);
    const ownFrom = isConstant ? 0 : row * attributeNames.length;
    const event: WireEvent = {
      ...(times[row] !== '0' && { time_unix_nano: times[row]! }),
      ...(block.name !== undefined && { name: block.name }),
      ...(severity !== 9 && { severity_number: severity }),
      ...(bodies && { body: bodies[row]! }),
      ...(steps && { step: steps[row]! }),
      ...(metricNames.length > 0 && {
        metrics: Object.fromEntries(metricNames.map((name, index) => [name, ownMetrics[index]!])),
      }),
      ...(attributeNames.length > 0 && {
        attributes: Object.fromEntries(
          attributeNames.map((name, index) => [name, attributes[ownFrom + index]!]),
        ),
      }),
      ...(traceId && { trace_id: traceId }),
      ...(spanId && { span_id: spanId }),
    };
    return { offset, event };
  });
}

/** The sums of differences, in 64 bits. */
function sums(differences: readonly bigint[]): bigint[] {
  let sum = 0n;
  return differences.map((difference) => {
    sum = BigInt.asIntN(64, sum + difference);
    return sum;
  });
}

function texts(bytes: Buffer): string[] {
  const found: string[] = [];
  const decoder = new TextDecoder('utf8', { fatal: true, ignoreBOM: true });
  for (let at = 0; at < bytes.length; ) {
    let length = 0;
    for (let scale = 1; ; scale *= 0x80) {
      const byte = bytes[at++];
      expect(byte !== undefined, 'a whole length');
      length += (byte! & 0x7f) * scale;
      if (byte! < 0x80) break;
    }
    expect(at + length <= bytes.length, 'a whole text');
    found.push(decoder.decode(bytes.subarray(at, at + length)));
    at += length;
  }
  return found;
}

function expect(holds: boolean, what: string): void {
  if (!holds) throw new Error(`a block needs ${what}`);
}

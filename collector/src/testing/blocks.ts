/** A request of row events as the same request of blocks: one block a shape, in the order of first appearance. */
import type { LogRequest } from '@sluice/proto';

type Event = NonNullable<LogRequest['events']>[number];
type Block = NonNullable<LogRequest['blocks']>[number];

/** Numbers that no loss covers, in order: those of the events. */
function* eventNumbers(request: LogRequest): Generator<number> {
  const losses = request.losses ?? [];
  for (let sequence = Number(request.first_sequence); ; sequence++) {
    const covers = losses.some(
      ({ first_sequence, count }) =>
        sequence >= Number(first_sequence) && sequence < Number(first_sequence) + Number(count),
    );
    if (!covers) yield sequence;
  }
}

function hasBytes(value: unknown): boolean {
  return value !== undefined && value !== null && (value as { length: number }).length > 0;
}

function shapeOf(event: Event): string {
  const { step } = event;
  return JSON.stringify([
    event.name ?? '',
    Object.keys(event.metrics ?? {}),
    Object.keys(event.attributes ?? {}),
    step !== undefined && step !== null,
    hasBytes(event.trace_id),
    hasBytes(event.span_id),
  ]);
}

export function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  const length: number[] = [];
  let rest = bytes.length;
  for (; rest >= 0x80; rest >>>= 7) length.push((rest & 0x7f) | 0x80);
  return Buffer.concat([Buffer.from([...length, rest]), bytes]);
}

export function toBlocks(request: LogRequest): LogRequest {
  const groups = new Map<string, { event: Event; offset: number }[]>();
  const numbers = eventNumbers(request);
  for (const event of request.events ?? []) {
    const offset = (numbers.next().value as number) - Number(request.first_sequence);
    const shape = shapeOf(event);
    groups.set(shape, [...(groups.get(shape) ?? []), { event, offset }]);
  }
  const { events: _, ...rest } = request;
  return { ...rest, blocks: [...groups.values()].map((rows) => toBlock(rows)) };
}

function toBlock(rows: readonly { event: Event; offset: number }[]): Block {
  const events = rows.map(({ event }) => event);
  const first = events[0] as Event;
  const bodies = events.map(({ body }) => body ?? '');
  const attributes = events.map(({ attributes }) =>
    Buffer.concat(Object.values(attributes ?? {}).map((value) => text(String(value)))),
  );
  const isShared = attributes.every((row) => row.equals(attributes[0] as Buffer));
  const severities = events.map(({ severity_number }) => severity_number ?? 9);
  const isUniform = severities.every((severity) => severity === severities[0]);
  const hasStep = first.step !== undefined && first.step !== null;
  return {
    name: first.name ?? '',
    count: rows.length,
    sequence_delta: rows.map(({ offset }, row) => offset - (rows[row - 1]?.offset ?? 0)),
    time_delta: differences(events.map(({ time_unix_nano }) => BigInt(String(time_unix_nano ?? 0)))),
    ...(hasStep && { step_delta: differences(events.map(({ step }) => BigInt(String(step)))) }),
    severity_number: Buffer.from(isUniform ? severities.slice(0, 1) : severities),
    body: bodies.every((body) => body === '') ? Buffer.alloc(0) : Buffer.concat(bodies.map(text)),
    metric_name: Object.keys(first.metrics ?? {}),
    metric: events.flatMap(({ metrics }) => Object.values(metrics ?? {}) as number[]),
    attribute_name: Object.keys(first.attributes ?? {}),
    attribute: isShared ? (attributes[0] as Buffer) : Buffer.concat(attributes),
    ...(hasBytes(first.trace_id) && {
      trace_id: Buffer.concat(events.map(({ trace_id }) => trace_id as Buffer)),
    }),
    ...(hasBytes(first.span_id) && {
      span_id: Buffer.concat(events.map(({ span_id }) => span_id as Buffer)),
    }),
  };
}

/** Modulo 2^64, as sint64 holds them. */
export function differences(numbers: readonly bigint[]): string[] {
  return numbers.map((number, row) => String(BigInt.asIntN(64, number - (numbers[row - 1] ?? 0n))));
}

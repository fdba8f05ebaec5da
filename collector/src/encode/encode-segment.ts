/**
 * A sealed segment to one Native block for the table `events`.
 *
 * Invariants:
 * 1. The same segment always gives the same rows; only these rows carry its id as `batch_id`. The same
 *    holds for a part of it, whose rows carry the part's id.
 * 2. All rows lie in one partition: `received_date` is the day of the segment's id.
 * 3. Rejected events are left out; every other event is one row.
 */
import { endianness } from 'node:os';
import type { Producer, RequestRecord, SegmentContents } from '../record.js';
import { uuidTimeMs } from '../uuid7.js';
import { Dictionary } from './dictionary.js';
import { EventColumns } from './event-columns.js';
import { NativeBlock } from './native-block.js';
import { SegmentIndex } from './segment-index.js';
import type { SegmentPart } from './segment-part.js';

export interface EncodedBlock {
  readonly rows: number;
  /** Views into the encoder's columns: valid until it encodes the next segment. */
  readonly chunks: readonly Buffer[];
  readonly bytes: number;
}

/** The table's columns, in the order in which a block sends them, with the types it announces. */
export const eventsColumns = [
  ['project', 'LowCardinality(String)'],
  ['run_id', 'LowCardinality(String)'],
  ['name', 'LowCardinality(String)'],
  ['rank', 'UInt32'],
  ['time', 'DateTime64(9)'],
  ['step', 'Nullable(Int64)'],
  ['severity_number', 'UInt8'],
  ['body', 'String'],
  ['metrics', 'Map(LowCardinality(String), Float64)'],
  ['attributes', 'Map(LowCardinality(String), String)'],
  ['job', 'LowCardinality(String)'],
  ['host', 'LowCardinality(String)'],
  ['attempt', 'UInt16'],
  ['trace_id', 'String'],
  ['span_id', 'String'],
  ['producer_id', 'UUID'],
  ['sequence', 'UInt64'],
  ['received_date', 'Date'],
  ['batch_id', 'LowCardinality(String)'],
] as const;

/**
 * Encodes one segment at a time; keep one for each segment that is on its way. The index is needed
 * only while a segment is encoded, so encoders of one thread may share it.
 */
export class SegmentEncoder {
  readonly #index: SegmentIndex;
  readonly #columns = new EventColumns();
  readonly #constants = new ConstantColumns();

  /** @param expectedEvents room to begin with; it costs memory only as far as segments fill it */
  constructor(index = new SegmentIndex(), expectedEvents = 0) {
    this.#index = index;
    this.#columns.reset(expectedEvents);
    this.#constants.allocate(expectedEvents);
    if (endianness() !== 'LE') {
      throw new Error('Sluice needs a little-endian host: the Native format is written from typed arrays');
    }
  }

  /** The whole segment as one block, or a part of it. */
  encode(segment: SegmentContents, part?: SegmentPart): EncodedBlock {
    const index = this.#index;
    const columns = this.#columns;
    index.build(segment, part);
    columns.reset(index.count);
    columns.open(segment.bytes);
    const received = new Map<number, { low: number; high: number }>();
    let time = { low: 0, high: 0 };
    let timeOf = -1;
    for (let row = 0; row < index.count; row++) {
      const event = index.order[row] as number;
      const request = index.requests[event] as number;
      if (request !== timeOf) {
        timeOf = request;
        time =
          received.get(request) ?? nanoHalves((segment.requests[request] as RequestRecord).receivedUnixMs);
        received.set(request, time);
      }
      columns.add(
        index.starts[event] as number,
        index.ends[event] as number,
        request,
        index.sequences[event] as number,
        time.low,
        time.high,
      );
    }
    this.#constants.fill(segment, columns.request, columns.rows, part?.batchId ?? segment.id);
    const block = new NativeBlock(eventsColumns.length, columns.rows);
    for (const [name, type] of eventsColumns) {
      block.column(name, type);
      this.#writeColumn(block, name);
    }
    return { rows: columns.rows, chunks: block.chunks, bytes: block.bytes };
  }

  #writeColumn(block: NativeBlock, name: (typeof eventsColumns)[number][0]): void {
    const columns = this.#columns;
    const constants = this.#constants;
    const { rows } = columns;
    switch (name) {
      case 'project':
      case 'run_id':
      case 'job':
      case 'host':
      case 'batch_id': {
        const { dictionary, indexes } = constants.texts[name];
        block.lowCardinalityPrefix();
        block.lowCardinality(dictionary, indexes, rows);
        return;
      }
      case 'name':
        block.lowCardinalityPrefix();
        block.lowCardinality(columns.names, columns.nameIndexes, rows);
        return;
      case 'rank':
        block.values(constants.rank, rows);
        return;
      case 'time':
        block.values(columns.time, rows * 2);
        return;
      case 'step':
        block.values(columns.stepIsNull, rows);
        block.values(columns.step, rows * 2);
        return;
      case 'severity_number':
        block.values(columns.severity, rows);
        return;
      case 'body':
        block.push(columns.bodies.view());
        return;
      case 'metrics': {
        const { keys, values } = columns.metrics;
        block.lowCardinalityPrefix();
        block.values(keys.offsets, rows * 2);
        block.lowCardinality(keys.dictionary, keys.indexes, keys.count);
        block.values(values, keys.count);
        return;
      }
      case 'attributes': {
        const { keys, values } = columns.attributes;
        block.lowCardinalityPrefix();
        block.values(keys.offsets, rows * 2);
        block.lowCardinality(keys.dictionary, keys.indexes, keys.count);
        block.push(values.view());
        return;
      }
      case 'attempt':
        block.values(constants.attempt, rows);
        return;
      case 'trace_id':
        block.push(columns.traceIds.view());
        return;
      case 'span_id':
        block.push(columns.spanIds.view());
        return;
      case 'producer_id':
        block.values(constants.producerId, rows * 4);
        return;
      case 'sequence':
        block.values(columns.sequence, rows * 2);
        return;
      case 'received_date':
        block.values(constants.receivedDate, rows);
        return;
      default:
        name satisfies never;
    }
  }
}

const textNames = ['project', 'run_id', 'job', 'host', 'batch_id'] as const;
type TextName = (typeof textNames)[number];

interface TextColumn {
  readonly dictionary: Dictionary;
  indexes: Uint32Array;
}

/** Columns whose values are those of the producer, or of the batch: filled run by run. */
class ConstantColumns {
  readonly texts = Object.fromEntries(
    textNames.map((name) => [name, { dictionary: new Dictionary(), indexes: new Uint32Array(0) }]),
  ) as Record<TextName, TextColumn>;
  rank = new Uint32Array(0);
  attempt = new Uint16Array(0);
  producerId = new Uint32Array(0);
  receivedDate = new Uint16Array(0);

  fill(segment: SegmentContents, requestOfRow: Uint32Array, rows: number, batchId: string): void {
    if (rows > this.rank.length) this.allocate(rows);
    for (const name of textNames) this.texts[name].dictionary.clear();
    this.receivedDate.fill(Math.floor(uuidTimeMs(segment.id) / 86_400_000), 0, rows);
    const batch = this.texts.batch_id.dictionary.idOfText(batchId);
    const ids = new Map<number, Record<TextName, number>>();
    let from = 0;
    while (from < rows) {
      const producerIndex = producerOf(segment.requests, requestOfRow[from] as number);
      let to = from + 1;
      while (to < rows && producerOf(segment.requests, requestOfRow[to] as number) === producerIndex) to++;
      const producer = segment.producers[producerIndex] as Producer;
      let id = ids.get(producerIndex);
      if (id === undefined) {
        id = {
          project: this.texts.project.dictionary.idOfText(producer.project),
          run_id: this.texts.run_id.dictionary.idOfText(producer.runId),
          job: this.texts.job.dictionary.idOfText(producer.job),
          host: this.texts.host.dictionary.idOfText(producer.host),
          batch_id: batch,
        };
        ids.set(producerIndex, id);
      }
      for (const name of textNames) this.texts[name].indexes.fill(id[name], from, to);
      this.rank.fill(producer.rank, from, to);
      this.attempt.fill(producer.attempt, from, to);
      this.#fillProducerId(producer.id, from, to);
      from = to;
    }
  }

  /** A UUID is two UInt64, the first half of its text first: each half's bytes are reversed. */
  #fillProducerId(id: Buffer, from: number, to: number): void {
    const words = [id.readUInt32BE(4), id.readUInt32BE(0), id.readUInt32BE(12), id.readUInt32BE(8)] as const;
    for (let at = from * 4; at < to * 4; at += 4) {
      this.producerId[at] = words[0];
      this.producerId[at + 1] = words[1];
      this.producerId[at + 2] = words[2];
      this.producerId[at + 3] = words[3];
    }
  }

  allocate(rows: number): void {
    for (const name of textNames) this.texts[name].indexes = new Uint32Array(rows);
    this.rank = new Uint32Array(rows);
    this.attempt = new Uint16Array(rows);
    this.producerId = new Uint32Array(rows * 4);
    this.receivedDate = new Uint16Array(rows);
  }
}

function producerOf(requests: readonly RequestRecord[], request: number): number {
  return (requests[request] as RequestRecord).producerIndex;
}

function nanoHalves(unixMs: number): { low: number; high: number } {
  const nano = BigInt(unixMs) * 1_000_000n;
  return { low: Number(nano & 0xffffffffn), high: Number(nano >> 32n) };
}

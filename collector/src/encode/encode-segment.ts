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
import type { BlockView } from '../event-block.js';
import type { Producer, RequestRecord, SegmentContents } from '../record.js';
import { uuidTimeMs } from '../uuid7.js';
import { Dictionary } from './dictionary.js';
import { EventColumns } from './event-columns.js';
import { IndexColumn } from './index-column.js';
import { NativeBlock } from './native-block.js';
import { rowEvent, SegmentIndex } from './segment-index.js';
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
    this.#constants.reset(segment, index.count, part?.batchId ?? segment.id);
    let time = { low: 0, high: 0 };
    let timeOf = -1;
    for (let leaving = 0; leaving < index.leaving; leaving++) {
      const entry = index.order[leaving] as number;
      const request = index.requests[entry] as number;
      const record = segment.requests[request] as RequestRecord;
      if (record.receivedUnixMs !== timeOf) {
        timeOf = record.receivedUnixMs;
        time = nanoHalves(timeOf);
      }
      const start = index.starts[entry] as number;
      const end = index.ends[entry] as number;
      const block = index.blocks[entry] as number;
      if (block === rowEvent) {
        columns.add(start, end, index.sequences[entry] as number, time.low, time.high);
        this.#constants.add(record.producerIndex, 1);
      } else {
        const view = index.views[block] as BlockView;
        columns.addBlock(view, start, end, record.firstSequence, time.low, time.high);
        this.#constants.add(record.producerIndex, end - start);
      }
    }
    this.#constants.end();
    columns.close();
    index.close();
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
        block.lowCardinality(dictionary, indexes);
        return;
      }
      case 'name':
        block.lowCardinalityPrefix();
        block.lowCardinality(columns.names, columns.nameIndexes);
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
        block.lowCardinality(keys.dictionary, keys.indexes);
        block.values(values, keys.count);
        return;
      }
      case 'attributes': {
        const { keys, values } = columns.attributes;
        block.lowCardinalityPrefix();
        block.values(keys.offsets, rows * 2);
        block.lowCardinality(keys.dictionary, keys.indexes);
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
        block.values(constants.producerId, rows * 16);
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
  readonly indexes: IndexColumn;
}

/** What the columns hold of one producer; texts as numbers of their dictionaries. */
interface ProducerValues {
  readonly project: number;
  readonly run_id: number;
  readonly job: number;
  readonly host: number;
  readonly rank: number;
  readonly attempt: number;
  readonly producerId: Buffer;
}

/** Columns whose values are those of the producer, or of the batch: filled run by run. */
class ConstantColumns {
  readonly texts = Object.fromEntries(
    textNames.map((name) => [name, { dictionary: new Dictionary(), indexes: new IndexColumn() }]),
  ) as unknown as Record<TextName, TextColumn>;
  rank = new Uint32Array(0);
  attempt = new Uint16Array(0);
  producerId = Buffer.alloc(0);
  receivedDate = new Uint16Array(0);
  /** By producer index. */
  readonly #values: (ProducerValues | undefined)[] = [];
  #segment: SegmentContents | undefined;
  #batch = 0;
  /** The open run: rows of one producer that are not filled yet. */
  #producerIndex = -1;
  #from = 0;
  #to = 0;

  reset(segment: SegmentContents, rows: number, batchId: string): void {
    if (rows > this.rank.length) {
      this.rank = new Uint32Array(rows);
      this.attempt = new Uint16Array(rows);
      this.producerId = Buffer.allocUnsafeSlow(rows * 16);
      this.receivedDate = new Uint16Array(rows);
    }
    this.#segment = segment;
    this.#values.length = 0;
    for (const name of textNames) {
      this.texts[name].dictionary.clear();
      this.texts[name].indexes.clear();
    }
    this.receivedDate.fill(Math.floor(uuidTimeMs(segment.id) / 86_400_000), 0, rows);
    this.#batch = this.texts.batch_id.dictionary.idOfText(batchId);
    this.#producerIndex = -1;
    this.#from = 0;
    this.#to = 0;
  }

  /** The next `rows` rows are those of a producer. */
  add(producerIndex: number, rows: number): void {
    if (producerIndex !== this.#producerIndex) {
      this.end();
      this.#producerIndex = producerIndex;
    }
    this.#to += rows;
  }

  /** Fills what `add` has told of. */
  end(): void {
    const from = this.#from;
    const to = this.#to;
    if (from === to) return;
    this.#from = to;
    const values = this.#valuesOf(this.#producerIndex);
    const { texts } = this;
    texts.project.indexes.pushTimes(values.project, to - from);
    texts.run_id.indexes.pushTimes(values.run_id, to - from);
    texts.job.indexes.pushTimes(values.job, to - from);
    texts.host.indexes.pushTimes(values.host, to - from);
    texts.batch_id.indexes.pushTimes(this.#batch, to - from);
    if (to - from === 1) {
      this.rank[from] = values.rank;
      this.attempt[from] = values.attempt;
      for (let at = 0; at < 16; at++) this.producerId[from * 16 + at] = values.producerId[at] as number;
      return;
    }
    this.rank.fill(values.rank, from, to);
    this.attempt.fill(values.attempt, from, to);
    this.producerId.fill(values.producerId, from * 16, to * 16);
  }

  #valuesOf(producerIndex: number): ProducerValues {
    const known = this.#values[producerIndex];
    if (known !== undefined) return known;
    const producer = (this.#segment as SegmentContents).producers[producerIndex] as Producer;
    const { texts } = this;
    const values = {
      project: texts.project.dictionary.idOfText(producer.project),
      run_id: texts.run_id.dictionary.idOfText(producer.runId),
      job: texts.job.dictionary.idOfText(producer.job),
      host: texts.host.dictionary.idOfText(producer.host),
      rank: producer.rank,
      attempt: producer.attempt,
      producerId: uuidColumnBytes(producer.id),
    };
    this.#values[producerIndex] = values;
    return values;
  }
}

/** A UUID is two UInt64, the first half of its text first: each half's bytes are reversed. */
function uuidColumnBytes(id: Buffer): Buffer {
  return Buffer.concat([Buffer.from(id.subarray(0, 8)).reverse(), Buffer.from(id.subarray(8, 16)).reverse()]);
}

function nanoHalves(unixMs: number): { low: number; high: number } {
  const nano = BigInt(unixMs) * 1_000_000n;
  return { low: Number(nano & 0xffffffffn), high: Number(nano >> 32n) };
}

/**
 * Native blocks as clients with a newer `client_protocol_version` expect them. clickhouse-go, and with
 * it Grafana, asks for one and takes nothing else; the engine always writes revision 0. The newer form
 * has eight bytes of block info before a block and one byte behind each column's type. To put them
 * there, the length of every column has to be found, which is what this file does: the values are
 * never decoded, and all bytes of theirs are passed on as they are.
 *
 *   revision 0:  columns rows (name type data)*           numbers are varints, name and type strings
 *   54454:       info columns rows (name type 00 data)*   info: 01 00, 02 FF FF FF FF, 00
 *
 * After ClickHouse's `src/Formats/NativeWriter.cpp` and `src/DataTypes/Serializations`.
 */
import { exception } from './exceptions.js';

/** DBMS_MIN_REVISION_WITH_CUSTOM_SERIALIZATION. Clients that ask for less (clickhouse-connect: 54405) probe
 * for the block info and do without. */
export const blockInfoRevision = 54454;

const blockInfo = Buffer.from([1, 0, 2, 0xff, 0xff, 0xff, 0xff, 0]);
const noCustomSerialization = Buffer.from([0]);

/** The layout of a column's type: what stands before its values, and how long they are. */
interface Layout {
  prefixBytes: number;
  /** The offset after `rows` values that begin at `at`. */
  skip(reader: Reader, at: number, rows: number): number;
}

class Incomplete extends Error {}

/** Reads from a part of a stream; throws Incomplete where the part ends. */
class Reader {
  readonly bytes: Buffer;
  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  need(end: number): number {
    if (end > this.bytes.length) throw new Incomplete();
    return end;
  }

  /** [value, offset after it]. */
  varint(at: number): [number, number] {
    let value = 0;
    let scale = 1;
    for (let i = at; ; i++) {
      this.need(i + 1);
      const byte = this.bytes[i]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return [value, i + 1];
      scale *= 128;
    }
  }

  /** An unsigned 64-bit number that counts something, so that it is far below 2^53. */
  count(at: number): number {
    this.need(at + 8);
    return Number(this.bytes.readBigUInt64LE(at));
  }
}

function fixed(width: number): Layout {
  return { prefixBytes: 0, skip: (reader, at, rows) => reader.need(at + width * rows) };
}

const string: Layout = {
  prefixBytes: 0,
  skip(reader, start, rows) {
    let at = start;
    for (let i = 0; i < rows; i++) {
      const [length, from] = reader.varint(at);
      at = reader.need(from + length);
    }
    return at;
  },
};

function tuple(parts: readonly Layout[]): Layout {
  return {
    prefixBytes: parts.reduce((sum, part) => sum + part.prefixBytes, 0),
    skip: (reader, start, rows) =>
      parts.length === 0
        ? reader.need(start + rows)
        : parts.reduce((at, part) => part.skip(reader, at, rows), start),
  };
}

function array(item: Layout): Layout {
  return {
    prefixBytes: item.prefixBytes,
    skip(reader, at, rows) {
      if (rows === 0) return at;
      const offsetsEnd = reader.need(at + rows * 8);
      const items = reader.count(offsetsEnd - 8);
      return items === 0 ? offsetsEnd : item.skip(reader, offsetsEnd, items);
    },
  };
}

function nullable(inner: Layout): Layout {
  return {
    prefixBytes: inner.prefixBytes,
    skip: (reader, at, rows) => inner.skip(reader, reader.need(at + rows), rows),
  };
}

/** Prefix: the version of the keys. Values: the index type, the keys, the indexes into them. */
function lowCardinality(key: Layout): Layout {
  return {
    prefixBytes: 8,
    skip(reader, at, rows) {
      if (rows === 0) return at;
      const indexBytes = 2 ** (reader.count(at) & 0xff);
      const keysEnd = key.skip(reader, at + 16, reader.count(at + 8));
      return reader.need(keysEnd + 8 + reader.count(keysEnd) * indexBytes);
    },
  };
}

const widths: Readonly<Record<string, number>> = {
  ...{ Int8: 1, Int16: 2, Int32: 4, Int64: 8, Int128: 16, Int256: 32 },
  ...{ UInt8: 1, UInt16: 2, UInt32: 4, UInt64: 8, UInt128: 16, UInt256: 32 },
  ...{ Float32: 4, Float64: 8, BFloat16: 2, Bool: 1, Enum8: 1, Enum16: 2, UUID: 16, IPv4: 4, IPv6: 16 },
  ...{ Date: 2, Date32: 4, DateTime: 4, DateTime64: 8, Time: 4, Time64: 8, Nothing: 1 },
  ...{ Decimal32: 4, Decimal64: 8, Decimal128: 16, Decimal256: 32 },
};

const point = tuple([fixed(8), fixed(8)]);
const shapes: Readonly<Record<string, Layout>> = {
  String: string,
  Point: point,
  Ring: array(point),
  LineString: array(point),
  Polygon: array(array(point)),
  MultiLineString: array(array(point)),
  MultiPolygon: array(array(array(point))),
};

/** The arguments of a type, split at the commas that are in no brackets and no quotes. */
function splitArguments(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (char === "'" || char === '`') {
      for (i++; i < text.length && text[i] !== char; i++) if (text[i] === '\\') i++;
    } else if (char === '(') depth++;
    else if (char === ')') depth--;
    else if (char === ',' && depth === 0) {
      parts.push(text.slice(start, i).trim());
      start = i + 1;
    }
  }
  if (text.trim() !== '') parts.push(text.slice(start).trim());
  return parts;
}

/** The type of a tuple's element, which may have a name before it. */
function elementType(text: string): string {
  return /^(?:`(?:[^`\\]|\\.)*`|[A-Za-z_]\w*)\s+(.+)$/s.exec(text)?.[1] ?? text;
}

export function layoutOf(type: string): Layout {
  const [, name, inside] = /^(\w+)(?:\((.*)\))?$/s.exec(type.trim()) ?? [];
  const known =
    shapes[name ?? ''] ?? (name !== undefined && name in widths ? fixed(widths[name]!) : undefined);
  if (known !== undefined) return known;
  const args = splitArguments(inside ?? '');
  switch (name) {
    case 'FixedString':
      return fixed(Number(args[0]));
    case 'Decimal': {
      const precision = Number(args[0]);
      return fixed(precision <= 9 ? 4 : precision <= 18 ? 8 : precision <= 38 ? 16 : 32);
    }
    case 'Nullable':
      return nullable(layoutOf(args[0] ?? ''));
    case 'LowCardinality':
      // The keys of LowCardinality(Nullable(T)) are plain T: null is one of them.
      return lowCardinality(layoutOf(/^Nullable\((.*)\)$/s.exec(args[0] ?? '')?.[1] ?? args[0] ?? ''));
    case 'Array':
      return array(layoutOf(args[0] ?? ''));
    case 'Map':
      return array(tuple(args.map(layoutOf)));
    case 'Tuple':
      return tuple(args.map((arg) => layoutOf(elementType(arg))));
    case 'Nested':
      return array(tuple(args.map((arg) => layoutOf(elementType(arg)))));
    case 'SimpleAggregateFunction':
      return layoutOf(args.at(-1) ?? '');
    default:
      if (name?.startsWith('Interval')) return fixed(8);
      throw exception(
        'NOT_IMPLEMENTED',
        `The embedded store cannot send the type ${type.slice(0, 200)} in Native to a client that asks for a ` +
          'client_protocol_version; convert the column in the query, for example with toString() or toJSONString()',
      );
  }
}

/** One block at the start of `bytes`, rewritten; undefined when it is not all there. */
function reviseBlock(bytes: Buffer): { pieces: Buffer[]; length: number } | undefined {
  const reader = new Reader(bytes);
  try {
    const [columns, rowsAt] = reader.varint(0);
    const [rows, headEnd] = reader.varint(rowsAt);
    const pieces = [blockInfo, bytes.subarray(0, headEnd)];
    let at = headEnd;
    for (let i = 0; i < columns; i++) {
      const nameEnd = string.skip(reader, at, 1);
      const [typeLength, typeAt] = reader.varint(nameEnd);
      const typeEnd = reader.need(typeAt + typeLength);
      const layout = layoutOf(bytes.toString('utf8', typeAt, typeEnd));
      const end = rows === 0 ? typeEnd : layout.skip(reader, reader.need(typeEnd + layout.prefixBytes), rows);
      pieces.push(bytes.subarray(at, typeEnd), noCustomSerialization, bytes.subarray(typeEnd, end));
      at = end;
    }
    return { pieces, length: at };
  } catch (error) {
    if (error instanceof Incomplete) return undefined;
    throw error;
  }
}

/** Rewrites a stream of blocks; one block is in memory at a time. */
export async function* reviseNative(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
  let gathered: Buffer[] = [];
  let bytes = 0;
  // A block that is not all there is looked at again only when twice as much is: each byte is read
  // a bounded number of times.
  let lookAt = 1;
  for await (const chunk of chunks) {
    gathered.push(chunk);
    bytes += chunk.length;
    if (bytes < lookAt) continue;
    const rest = yield* reviseAll(Buffer.concat(gathered, bytes));
    gathered = [rest];
    bytes = rest.length;
    lookAt = rest.length * 2;
  }
  const rest = yield* reviseAll(Buffer.concat(gathered, bytes));
  // What is cut short here was cut short by the engine, whose exception says so.
  if (rest.length > 0) yield rest;
}

function* reviseAll(bytes: Buffer): Generator<Buffer, Buffer, undefined> {
  let rest = bytes;
  while (rest.length > 0) {
    const block = reviseBlock(rest);
    if (block === undefined) return rest;
    yield Buffer.concat(block.pieces);
    rest = rest.subarray(block.length);
  }
  return rest;
}

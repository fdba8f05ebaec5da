/**
 * Writes a Protobuf message field by field, off the hot path.
 *
 * Source of the format: https://protobuf.dev/programming-guides/encoding/
 */
export class MessageBytes {
  readonly #chunks: Buffer[] = [];

  uint(tag: number, value: number): void {
    this.#chunks.push(Buffer.concat([varint(BigInt(tag)), varint(BigInt(value))]));
  }

  sint64(tag: number, value: bigint): void {
    this.#chunks.push(varint(BigInt(tag)), varint(BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))));
  }

  fixed64(tag: number, value: bigint): void {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(value);
    this.#chunks.push(varint(BigInt(tag)), bytes);
  }

  text(tag: number, value: string): void {
    if (value !== '') this.bytes(tag, Buffer.from(value));
  }

  bytes(tag: number, value: Buffer): void {
    this.#chunks.push(Buffer.concat([varint(BigInt(tag)), varint(BigInt(value.length))]), value);
  }

  end(): Buffer {
    return Buffer.concat(this.#chunks);
  }
}

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80n) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}

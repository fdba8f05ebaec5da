/**
 * Reading Protobuf's wire format without allocating. One cursor walks one buffer; a malformed byte
 * never throws, it sets `problem` and moves the cursor to its end, so that every loop over it stops.
 *
 * Source of the format: https://protobuf.dev/programming-guides/encoding/
 */

export const wireType = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

const TWO_32 = 4294967296;

export class Cursor {
  buffer: Buffer = Buffer.alloc(0);
  position = 0;
  end = 0;
  /** Why the bytes are not valid Protobuf; empty while they are. */
  problem = '';
  /** Halves of the last 64-bit value read. */
  low = 0;
  high = 0;
  /** Bounds of the last length-delimited field read. */
  fieldStart = 0;
  fieldEnd = 0;

  /** Starts over at `start`; clears the problem. */
  reset(buffer: Buffer, start: number, end: number): void {
    this.buffer = buffer;
    this.position = start;
    this.end = end;
    this.problem = '';
  }

  fail(problem: string): void {
    if (this.problem === '') this.problem = `${problem} at byte ${this.position}`;
    this.position = this.end;
  }

  /** A varint of up to 64 bits into `low` and `high`. Bits beyond 64 are dropped, as protobuf does. */
  varint64(): void {
    const { buffer, end } = this;
    let position = this.position;
    let low = 0;
    let high = 0;
    for (let index = 0; index < 10; index++) {
      if (position >= end) {
        this.low = 0;
        this.high = 0;
        this.fail('a varint is cut short');
        return;
      }
      const byte = buffer[position++] as number;
      const bits = byte & 0x7f;
      if (index < 4) low |= bits << (index * 7);
      else if (index === 4) {
        low |= bits << 28;
        high = bits >>> 4;
      } else high |= bits << (index * 7 - 32);
      if (byte < 0x80) {
        this.position = position;
        this.low = low >>> 0;
        this.high = high >>> 0;
        return;
      }
    }
    this.low = 0;
    this.high = 0;
    this.fail('a varint is longer than 10 bytes');
  }

  /** A varint as a number; above 2^53 it is inexact, which callers that care check with isSafeInteger. */
  varint(): number {
    const position = this.position;
    if (position < this.end) {
      const byte = this.buffer[position] as number;
      if (byte < 0x80) {
        this.position = position + 1;
        return byte;
      }
      if (position + 1 < this.end) {
        const second = this.buffer[position + 1] as number;
        if (second < 0x80) {
          this.position = position + 2;
          return (byte & 0x7f) | (second << 7);
        }
      }
    }
    this.varint64();
    return this.high * TWO_32 + this.low;
  }

  /** Eight bytes, little-endian, into `low` and `high`. */
  fixed64(): void {
    const { buffer, position } = this;
    if (position + 8 > this.end) {
      this.low = 0;
      this.high = 0;
      this.fail('a 64-bit field is cut short');
      return;
    }
    this.low =
      ((buffer[position] as number) |
        ((buffer[position + 1] as number) << 8) |
        ((buffer[position + 2] as number) << 16) |
        ((buffer[position + 3] as number) << 24)) >>>
      0;
    this.high =
      ((buffer[position + 4] as number) |
        ((buffer[position + 5] as number) << 8) |
        ((buffer[position + 6] as number) << 16) |
        ((buffer[position + 7] as number) << 24)) >>>
      0;
    this.position = position + 8;
  }

  /** The bounds of a length-delimited field into `fieldStart` and `fieldEnd`; moves behind it. */
  bytes(): void {
    const length = this.varint();
    const start = this.position;
    if (length > this.end - start) {
      this.fieldStart = this.end;
      this.fieldEnd = this.end;
      this.fail(`a field of ${length} bytes is cut short (${this.end - start} left)`);
      return;
    }
    this.fieldStart = start;
    this.fieldEnd = start + length;
    this.position = start + length;
  }

  /** Moves behind the value of an unknown field whose tag was just read. */
  skip(tag: number): void {
    switch (tag & 7) {
      case wireType.varint:
        this.varint64();
        return;
      case wireType.fixed64:
        if (this.position + 8 > this.end) this.fail('a 64-bit field is cut short');
        else this.position += 8;
        return;
      case wireType.bytes:
        this.bytes();
        return;
      case wireType.fixed32:
        if (this.position + 4 > this.end) this.fail('a 32-bit field is cut short');
        else this.position += 4;
        return;
      default:
        this.fail(`wire type ${tag & 7} is not supported`);
    }
  }

  /** The next field's tag. Field number 0 is not valid Protobuf. */
  tag(): number {
    const tag = this.varint();
    if (this.problem === '' && (tag < 8 || tag > 0xffffffff)) this.fail(`field tag ${tag} is out of range`);
    return tag;
  }
}

import { isUtf8 } from 'node:buffer';

/** Whether these bytes are valid UTF-8. Short ASCII, which nearly all names and keys are, costs no call. */
export function isValidUtf8(buffer: Buffer, start: number, end: number): boolean {
  for (let position = start; position < end; position++) {
    if ((buffer[position] as number) >= 0x80) return isUtf8(buffer.subarray(position, end));
  }
  return true;
}

/** Writes texts as UTF-8: first their size is asked for, then they are written where there is room. */

/** Up to here a loop over the characters is faster than a call into the engine (60 ns). */
export const shortText = 24;

/** Bytes that a text takes as UTF-8. */
export function textSize(text: string): number {
  const { length } = text;
  return length <= shortText && isAscii(text) ? length : Buffer.byteLength(text);
}

/** Writes a text whose size is known and for which there is room; returns the position after it. */
export function writeText(bytes: Buffer, position: number, text: string, size: number): number {
  if (size <= shortText && size === text.length) {
    let at = position;
    for (let index = 0; index < size; index++) bytes[at++] = text.charCodeAt(index);
    return at;
  }
  // As many bytes as characters: ASCII, and that is a plain copy.
  bytes.write(text, position, size, size === text.length ? 'latin1' : 'utf8');
  return position + size;
}

function isAscii(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    if (text.charCodeAt(index) > 0x7f) return false;
  }
  return true;
}

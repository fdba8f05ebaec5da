/** Text as UTF-8; lone surrogates become U+FFFD. */
export function utf8(text: string): Uint8Array {
  return Buffer.from(text, 'utf8');
}

/** As much of the text as fits, cut between characters. */
export function utf8Cut(text: string, maxBytes: number): Uint8Array {
  // No character takes more bytes than this, so what lies beyond is not worth encoding.
  const bytes = Buffer.from(text.length > maxBytes ? text.slice(0, maxBytes) : text, 'utf8');
  if (bytes.length <= maxBytes && text.length <= maxBytes) return bytes;
  let end = Math.min(maxBytes, bytes.length);
  // Back to the start of a character: continuation bytes are 10xxxxxx.
  while (end < bytes.length && end > 0 && (bytes[end]! & 0xc0) === 0x80) end--;
  return bytes.subarray(0, end);
}

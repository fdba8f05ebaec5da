import { createReadStream } from 'node:fs';

export interface TextLine {
  readonly text: string;
  /** Characters that were cut off because the line is longer than it may be. */
  readonly cut: number;
}

/**
 * The lines of a file, without their line ends, in bounded memory. Lines end with LF or CRLF and with
 * nothing else: Node's readline would also break at a lone carriage return, of which progress bars have
 * many, and at two rare Unicode characters.
 */
export async function* linesOf(path: string, limitChars: number): AsyncGenerator<TextLine> {
  yield* splitLines(createReadStream(path, 'utf8'), limitChars);
}

export async function* splitLines(
  chunks: AsyncIterable<string>,
  limitChars: number,
): AsyncGenerator<TextLine> {
  let text = '';
  let cut = 0;
  const append = (part: string): void => {
    const taken = part.slice(0, limitChars - text.length);
    text += taken;
    cut += part.length - taken.length;
  };
  for await (const chunk of chunks) {
    const parts = chunk.split('\n');
    const open = parts.pop() ?? '';
    for (const part of parts) {
      append(part);
      yield { text: text.endsWith('\r') ? text.slice(0, -1) : text, cut };
      text = '';
      cut = 0;
    }
    append(open);
  }
  if (text !== '') yield { text, cut };
}

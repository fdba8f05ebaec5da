/** A text as numbered characters, its last tenth kept aside to test on. */
import { readFileSync } from 'node:fs';
import type { Batch } from './model.js';

export interface Corpus {
  readonly vocabulary: number;
  readonly train: Uint16Array;
  readonly test: Uint16Array;
}

export function readCorpus(path: string): Corpus {
  const characters = [...readFileSync(path, 'utf8')];
  const numbers = new Map([...new Set(characters)].sort().map((character, index) => [character, index]));
  const text = Uint16Array.from(characters, (character) => numbers.get(character) ?? 0);
  const cut = Math.floor(text.length * 0.9);
  return { vocabulary: numbers.size, train: text.subarray(0, cut), test: text.subarray(cut) };
}

/** Random places of a text: what stands there, and what comes next. */
export function sampleBatch(
  text: Uint16Array,
  options: { readonly count: number; readonly context: number; readonly random: () => number },
): Batch {
  const { count, context, random } = options;
  const contexts = new Uint16Array(count * context);
  const targets = new Uint16Array(count);
  for (let row = 0; row < count; row++) {
    const at = Math.floor(random() * (text.length - context));
    contexts.set(text.subarray(at, at + context), row * context);
    targets[row] = text[at + context] ?? 0;
  }
  return { contexts, targets };
}

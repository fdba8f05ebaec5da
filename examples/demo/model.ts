/**
 * A character-level language model, as in Bengio et al., "A Neural Probabilistic Language Model" (2003):
 * embeddings of the last characters, one hidden layer, a softmax over the next character. Forward and
 * backward pass by hand.
 */
import { seededRandom } from './random.js';

export interface ModelShape {
  /** Different characters. */
  readonly vocabulary: number;
  /** Characters that it sees. */
  readonly context: number;
  readonly embedding: number;
  readonly hidden: number;
}

export interface Batch {
  /** `count` × `context` characters, row by row. */
  readonly contexts: Uint16Array;
  /** The character that came next. */
  readonly targets: Uint16Array;
}

export class CharacterModel {
  readonly shape: ModelShape;
  /** All weights in one array, so that ranks exchange and optimizers update one array. */
  readonly parameters: Float32Array;
  readonly #offsets: { w1: number; b1: number; w2: number; b2: number };

  constructor(shape: ModelShape, seed: number) {
    this.shape = shape;
    const { vocabulary, context, embedding, hidden } = shape;
    const inputs = context * embedding;
    const w1 = vocabulary * embedding;
    const b1 = w1 + inputs * hidden;
    const w2 = b1 + hidden;
    const b2 = w2 + hidden * vocabulary;
    this.#offsets = { w1, b1, w2, b2 };
    this.parameters = new Float32Array(b2 + vocabulary);
    const random = seededRandom(seed);
    const fill = (from: number, to: number, scale: number): void => {
      for (let at = from; at < to; at++) this.parameters[at] = (random() * 2 - 1) * scale;
    };
    fill(0, w1, 0.5);
    fill(w1, b1, 1 / Math.sqrt(inputs));
    fill(w2, b2, 0.1 / Math.sqrt(hidden));
  }

  /** The mean cross-entropy in nats. With `gradient`, writes the loss's gradient there. */
  loss(batch: Batch, gradient?: Float32Array): number {
    const { vocabulary, context, embedding, hidden } = this.shape;
    const { w1, b1, w2, b2 } = this.#offsets;
    const p = this.parameters;
    const inputs = context * embedding;
    const count = batch.targets.length;
    const x = new Float32Array(inputs);
    const h = new Float32Array(hidden);
    const dh = new Float32Array(hidden);
    const y = new Float32Array(vocabulary);
    gradient?.fill(0);
    let total = 0;
    for (let row = 0; row < count; row++) {
      for (let place = 0; place < context; place++) {
        const from = batch.contexts[row * context + place]! * embedding;
        for (let unit = 0; unit < embedding; unit++) x[place * embedding + unit] = p[from + unit]!;
      }
      for (let unit = 0; unit < hidden; unit++) h[unit] = p[b1 + unit]!;
      for (let input = 0; input < inputs; input++) {
        const value = x[input]!;
        const from = w1 + input * hidden;
        for (let unit = 0; unit < hidden; unit++) h[unit]! += value * p[from + unit]!;
      }
      for (let unit = 0; unit < hidden; unit++) h[unit] = Math.tanh(h[unit]!);
      for (let character = 0; character < vocabulary; character++) y[character] = p[b2 + character]!;
      for (let unit = 0; unit < hidden; unit++) {
        const value = h[unit]!;
        const from = w2 + unit * vocabulary;
        for (let character = 0; character < vocabulary; character++)
          y[character]! += value * p[from + character]!;
      }
      const target = batch.targets[row]!;
      softmax(y);
      total -= Math.log(Math.max(y[target]!, 1e-30));
      if (gradient === undefined) continue;

      // From here on, y is the loss's gradient by the logits.
      y[target]! -= 1;
      for (let character = 0; character < vocabulary; character++) {
        y[character]! /= count;
        gradient[b2 + character]! += y[character]!;
      }
      for (let unit = 0; unit < hidden; unit++) {
        const value = h[unit]!;
        const from = w2 + unit * vocabulary;
        let sum = 0;
        for (let character = 0; character < vocabulary; character++) {
          sum += p[from + character]! * y[character]!;
          gradient[from + character]! += value * y[character]!;
        }
        dh[unit] = sum * (1 - value * value);
        gradient[b1 + unit]! += dh[unit]!;
      }
      for (let input = 0; input < inputs; input++) {
        const value = x[input]!;
        const from = w1 + input * hidden;
        let sum = 0;
        for (let unit = 0; unit < hidden; unit++) {
          sum += p[from + unit]! * dh[unit]!;
          gradient[from + unit]! += value * dh[unit]!;
        }
        const place = Math.floor(input / embedding);
        gradient[batch.contexts[row * context + place]! * embedding + (input % embedding)]! += sum;
      }
    }
    return total / count;
  }
}

/** Numbers into probabilities, in place. */
function softmax(values: Float32Array): void {
  let most = Number.NEGATIVE_INFINITY;
  for (const value of values) most = Math.max(most, value);
  let sum = 0;
  for (let at = 0; at < values.length; at++) {
    values[at] = Math.exp(values[at]! - most);
    sum += values[at]!;
  }
  for (let at = 0; at < values.length; at++) values[at]! /= sum;
}

import { internalLimits } from '../limits.js';
import type { BlockColumns } from './block-columns.js';
import { BoundedCache, type EncodedKey, type EncodedName, encodeKey, encodeName } from './encoded-texts.js';

/** What an event has beside its fields; a sum of these. */
export const parts = { step: 1, body: 2, traceId: 4, spanId: 8 } as const;

/** What events of one kind have in common: their name, their keys in the caller's order, and which parts they have. */
export interface Shape {
  readonly name: EncodedName;
  readonly metrics: readonly EncodedKey[];
  readonly attributes: readonly EncodedKey[];
  /** The texts of the keys once more, so that comparing with the next event's keys takes one step less; behind the
   *  last one stands undefined, so that a key too many differs from it like any other. */
  readonly metricKeys: readonly (string | undefined)[];
  readonly attributeKeys: readonly (string | undefined)[];
  readonly parts: number;
  /** Its place among the shapes that are remembered. */
  readonly place: number;
  /** Where whoever had it last gathers its events: most likely whoever has it next. */
  latest: BlockColumns | undefined;
}

/** A name as it was given, and the shape of the last event that had it: most likely that of the next one. */
export interface KnownName {
  readonly encoded: EncodedName;
  expected: Shape | undefined;
}

/**
 * The shapes that were met, by all loggers. Two shapes are one object if they are equal, unless the program makes up so
 * many that they are forgotten in between.
 */
export class Shapes {
  readonly #names = new BoundedCache<KnownName>((name) => ({
    encoded: encodeName(name),
    expected: undefined,
  }));
  readonly #keys = new BoundedCache<EncodedKey | undefined>(encodeKey);
  readonly #shapes = new Map<number, Shape[]>();
  #count = 0;
  #keyCount = 0;

  name(name: string): KnownName {
    return this.#names.get(name);
  }

  /** Undefined for a key that is empty or too long. */
  key(key: string): EncodedKey | undefined {
    return this.#keys.get(key);
  }

  /** The shape with the first `metricCount` and `attributeCount` of the keys. */
  find(given: {
    name: EncodedName;
    metrics: readonly EncodedKey[];
    metricCount: number;
    attributes: readonly EncodedKey[];
    attributeCount: number;
    parts: number;
  }): Shape {
    const { name, metrics, metricCount, attributes, attributeCount } = given;
    let hash = name.hash + given.parts;
    for (let index = 0; index < metricCount; index++) hash = Math.imul(hash, 31) + metrics[index]!.hash;
    // So that a key that moves from the metrics to the attributes makes another hash.
    hash = Math.imul(hash, 31) + metricCount;
    for (let index = 0; index < attributeCount; index++) hash = Math.imul(hash, 31) + attributes[index]!.hash;
    hash |= 0;
    for (const shape of this.#shapes.get(hash) ?? []) {
      if (
        shape.name.text === name.text &&
        shape.parts === given.parts &&
        areEqual(shape.metrics, metrics, metricCount) &&
        areEqual(shape.attributes, attributes, attributeCount)
      ) {
        return shape;
      }
    }
    return this.#add(hash, {
      name,
      metrics: metrics.slice(0, metricCount),
      attributes: attributes.slice(0, attributeCount),
      metricKeys: [...metrics.slice(0, metricCount).map(({ text }) => text), undefined],
      attributeKeys: [...attributes.slice(0, attributeCount).map(({ text }) => text), undefined],
      parts: given.parts,
    });
  }

  #add(hash: number, made: Omit<Shape, 'place' | 'latest'>): Shape {
    // A name counts as a key, so that shapes without keys are bounded as well.
    this.#keyCount += 1 + made.metrics.length + made.attributes.length;
    if (this.#keyCount > internalLimits.cachedShapeKeys) {
      this.#shapes.clear();
      this.#names.clear();
      this.#count = 0;
      this.#keyCount = 0;
    }
    const shape = { ...made, place: this.#count++, latest: undefined };
    const sameHash = this.#shapes.get(hash);
    if (sameHash === undefined) this.#shapes.set(hash, [shape]);
    else sameHash.push(shape);
    return shape;
  }
}

function areEqual(known: readonly EncodedKey[], keys: readonly EncodedKey[], count: number): boolean {
  if (known.length !== count) return false;
  for (let index = 0; index < count; index++) {
    if (known[index]!.text !== keys[index]!.text) return false;
  }
  return true;
}

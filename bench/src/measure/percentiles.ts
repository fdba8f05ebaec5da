/** Percentiles of samples, by the nearest rank: each is a value that was measured. */
import { round } from './figures.js';

export interface Percentiles {
  readonly samples: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** Sorts a copy. Without samples every figure is NaN, which JSON shows as null. */
export function percentiles(samples: ArrayLike<number>, digits: number): Percentiles {
  const sorted = Float64Array.from(samples).sort();
  const at = (share: number): number => {
    const rank = Math.max(1, Math.ceil(share * sorted.length));
    return round(sorted[rank - 1] ?? Number.NaN, digits);
  };
  return { samples: sorted.length, p50: at(0.5), p99: at(0.99), p999: at(0.999), max: at(1) };
}

export function median(samples: readonly number[]): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length % 2 === 1) return sorted[middle]!;
  return (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Numbers as they are reported. */

export function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

export function mib(bytes: number): number {
  return round(bytes / 2 ** 20, 1);
}

export function perSecond(count: number, ms: number): number {
  return Math.round(count / (ms / 1000));
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

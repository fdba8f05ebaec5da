/**
 * Full jitter (Amazon's "Exponential Backoff And Jitter"): anywhere between nothing and a bound that doubles
 * with every attempt, so that a fleet whose collector comes back does not return in step.
 */
export function backoffMs(
  attempt: number,
  bounds: { readonly minMs: number; readonly maxMs: number },
  random: () => number,
): number {
  const boundMs = Math.min(bounds.maxMs, bounds.minMs * 2 ** Math.min(attempt - 1, 30));
  return random() * boundMs;
}

/** A delay that the collector asked for: at least that, and up to half as much again. */
export function requestedDelayMs(delayMs: number, maxMs: number, random: () => number): number {
  return Math.min(delayMs, maxMs) * (1 + random() / 2);
}

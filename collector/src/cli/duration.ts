const units = [
  ['d', 86_400],
  ['h', 3600],
  ['m', 60],
] as const;

/** Seconds for people: 0.4s, 12s, 3m 20s, 2h 5m, 4d 1h. */
export function showDuration(seconds: number): string {
  if (seconds < 10) return `${Math.round(seconds * 10) / 10}s`;
  const whole = Math.round(seconds);
  const first = units.findIndex(([, size]) => whole >= size);
  const [unit, size] = units[first] ?? [];
  if (unit === undefined || size === undefined) return `${whole}s`;
  const [nextUnit, nextSize] = units[first + 1] ?? ['s', 1];
  const rest = Math.floor((whole % size) / nextSize);
  return rest === 0
    ? `${Math.floor(whole / size)}${unit}`
    : `${Math.floor(whole / size)}${unit} ${rest}${nextUnit}`;
}

/** One more than the highest severity number. */
export const severities = 25;

/** How many events of each severity there are, and how many bytes they take. */
export class Tally {
  events = 0;
  bytes = 0;
  /** Count and bytes of each severity, side by side. */
  readonly #sums = new Float64Array(2 * severities);

  add(severity: number, size: number): void {
    this.#sums[2 * severity]!++;
    this.#sums[2 * severity + 1]! += size;
    this.events++;
    this.bytes += size;
  }

  remove(severity: number, size: number): void {
    this.#sums[2 * severity]!--;
    this.#sums[2 * severity + 1]! -= size;
    this.events--;
    this.bytes -= size;
  }

  removeAll(other: Tally): void {
    for (let index = 0; index < this.#sums.length; index++) this.#sums[index]! -= other.#sums[index]!;
    this.events -= other.events;
    this.bytes -= other.bytes;
  }

  countOf(severity: number): number {
    return this.#sums[2 * severity]!;
  }

  bytesOf(severity: number): number {
    return this.#sums[2 * severity + 1]!;
  }

  clear(): void {
    this.#sums.fill(0);
    this.events = 0;
    this.bytes = 0;
  }
}

/** One more than the highest severity number. */
export const severities = 25;

/** How many events of each severity there are, and how many bytes they take. */
export class Tally {
  events = 0;
  bytes = 0;
  readonly #counts = new Uint32Array(severities);
  readonly #bytes = new Float64Array(severities);

  add(severity: number, size: number): void {
    this.#counts[severity]!++;
    this.#bytes[severity]! += size;
    this.events++;
    this.bytes += size;
  }

  remove(severity: number, size: number): void {
    this.#counts[severity]!--;
    this.#bytes[severity]! -= size;
    this.events--;
    this.bytes -= size;
  }

  removeAll(other: Tally): void {
    for (let severity = 1; severity < severities; severity++) {
      this.#counts[severity]! -= other.#counts[severity]!;
      this.#bytes[severity]! -= other.#bytes[severity]!;
    }
    this.events -= other.events;
    this.bytes -= other.bytes;
  }

  countOf(severity: number): number {
    return this.#counts[severity]!;
  }

  bytesOf(severity: number): number {
    return this.#bytes[severity]!;
  }

  clear(): void {
    this.#counts.fill(0);
    this.#bytes.fill(0);
    this.events = 0;
    this.bytes = 0;
  }
}

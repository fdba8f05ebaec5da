/**
 * What was read from sockets and copied into messages is dead at once, and V8 would let it lie: its young generation is
 * full only after hundreds of mebibytes of such buffers, and a collection of everything comes before that. So the young
 * generation is collected whenever enough has been read. With one busy producer that took the main thread from 0.15 to
 * 0.09 µs an event, and its whole collections from 21 to 1 in 8,000,000 events (measured with every 4 MiB; with 8, a
 * thousand producers cost half as many collections, of 7 ms each).
 */
import { innerLimits } from '../limits.js';

const { everyBytes } = innerLimits.receive.garbage;

export class FrameGarbage {
  readonly #collectYoung: () => void;
  #bytes = 0;

  constructor(collectYoung: () => void) {
    this.#collectYoung = collectYoung;
  }

  /** So many bytes were read, and are not needed any more: at once, because a thousand sockets may be read in one turn. */
  add(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes < everyBytes) return;
    this.#bytes = 0;
    this.#collectYoung();
  }
}

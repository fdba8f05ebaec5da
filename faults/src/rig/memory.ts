/** What a process uses of memory, as the kernel counts it. */
import { readFileSync } from 'node:fs';

export interface Memory {
  readonly rssMiB: number;
  /** The most it ever used. */
  readonly peakMiB: number;
}

export function memoryOf(pid: number): Memory {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const mib = (name: string): number => {
    const kib = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1];
    if (kib === undefined) throw new Error(`/proc/${pid}/status has no ${name}: has the process ended?`);
    return Math.round(Number(kib) / 102.4) / 10;
  };
  return { rssMiB: mib('VmRSS'), peakMiB: mib('VmHWM') };
}

/** The largest resident size within a span of time; the kernel's own peak would be that of all time. */
export class MemorySpan {
  #mostMiB = 0;
  readonly #timer: NodeJS.Timeout;
  readonly #pid: number;

  constructor(pid: number, everyMs = 50) {
    this.#pid = pid;
    this.#timer = setInterval(() => this.#look(), everyMs);
  }

  stop(): number {
    this.#look();
    clearInterval(this.#timer);
    return this.#mostMiB;
  }

  #look(): void {
    try {
      this.#mostMiB = Math.max(this.#mostMiB, memoryOf(this.#pid).rssMiB);
    } catch {
      // It was killed; what was seen stands.
      clearInterval(this.#timer);
    }
  }
}

/** Where a figure was measured: it means little without that. */
import { availableParallelism, cpus, totalmem } from 'node:os';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memory_gib: number;
  readonly node: string;
  readonly engine: string;
  readonly platform: string;
}

export function describeMachine(engineVersion: string): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memory_gib: Math.round(totalmem() / 2 ** 30),
    node: process.versions.node,
    engine: engineVersion,
    platform: `${process.platform}-${process.arch}`,
  };
}

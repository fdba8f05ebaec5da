/**
 * A wall clock that can be set, in every thread of a process: loaded by `--import` before anything else,
 * it puts an offset on Date.now() and new Date(). Worker threads load it too (they inherit --import) and
 * share the offset's memory. Clocks that never step (performance.now) are left alone.
 */
import { getEnvironmentData, isMainThread, setEnvironmentData } from 'node:worker_threads';

const key = 'faults.clock';
/** The offset when the process starts. */
export const clockOffsetVariable = 'FAULTS_CLOCK_OFFSET_MS';

function sharedOffset(): Float64Array {
  if (!isMainThread) return new Float64Array(getEnvironmentData(key) as unknown as SharedArrayBuffer);
  const memory = new SharedArrayBuffer(Float64Array.BYTES_PER_ELEMENT);
  setEnvironmentData(key, memory as never);
  const offset = new Float64Array(memory);
  offset[0] = Number(process.env[clockOffsetVariable] ?? 0);
  return offset;
}

const offset = sharedOffset();
const MachineDate = Date;

globalThis.Date = new Proxy(MachineDate, {
  construct: (target, given, newTarget) =>
    Reflect.construct(target, given.length === 0 ? [target.now() + (offset[0] as number)] : given, newTarget),
  get: (target, name, receiver) =>
    name === 'now' ? () => target.now() + (offset[0] as number) : Reflect.get(target, name, receiver),
});

export function setClockOffset(offsetMs: number): void {
  offset[0] = offsetMs;
}

/**
 * How the collector's processes want their heap collected. The heap is small (about 20 MiB) and what is large lies
 * outside it, in buffers that come and go: V8 counts these, and looks through the whole heap each time that some tens of
 * mebibytes have gathered, although nearly all of them are young and dead.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * For this process and all its threads: V8's helper threads, which mark beside the main thread, took up to 0.15 µs an
 * event, more than the main thread needs to receive one. Idempotent.
 */
export function markOnMainThread(): void {
  setFlagsFromString('--no-concurrent-marking');
}

/**
 * Collects the young generation of this thread: about half a millisecond. It is the only way that does not depend on
 * how the process was started; `--max-semi-space-size=1` does the same.
 */
export function youngCollector(): () => void {
  setFlagsFromString('--expose-gc');
  // The function is there in contexts that are made from now on.
  const collect = runInNewContext('gc') as (options: { type: 'minor' }) => void;
  return () => collect({ type: 'minor' });
}

/**
 * How the collector's processes want their heap collected. The heap is small (about 20 MiB) and what is large lies
 * outside it, in buffers that come and go: V8 counts these, and looks through the whole heap each time that some tens of
 * mebibytes have gathered, although nearly all of them are young and dead.
 */
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * For this process and all its threads: V8's helper threads, which mark beside the main thread, took up to 0.15 µs an
 * event, more than the main thread needs to receive one. Idempotent.
 */
export function markOnMainThread(): void {
  setFlagsFromString('--no-concurrent-marking');
}

/** As large as the young generation is let grow: half of it is empty at any time. */
const youngBytes = 8 * 1024 * 1024;

/**
 * Keeps this thread's young generation as small as it is now. V8 lets it grow to 32 MiB while modules are loaded, and
 * hardly ever makes it smaller, so call this before they are. A collector that receives needs a quarter of that.
 */
export function holdYoungGeneration(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}

/**
 * Collects the young generation of this thread: half a millisecond with one connection, seven with a thousand. It is the
 * only way that does not depend on how the process was started. Lets it grow up to `youngBytes`.
 */
export function youngCollector(): () => void {
  setFlagsFromString('--expose-gc');
  // The function is there in contexts that are made from now on.
  const collect = runInNewContext('gc') as (options: { type: 'minor' }) => void;
  return () => {
    // It grows within a collection, and at no other time.
    if (youngGenerationBytes() < youngBytes) setFlagsFromString('--semi-space-growth-factor=2');
    collect({ type: 'minor' });
    holdYoungGeneration();
  };
}

/** What this thread's young generation occupies, its empty half included. */
export function youngGenerationBytes(): number {
  return getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space')?.space_size ?? 0;
}

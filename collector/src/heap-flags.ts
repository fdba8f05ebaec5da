/**
 * How the collector's processes want their heap collected. The heap is small (about 20 MiB) and what is large lies
 * outside it, in buffers: V8 looks through it again and again because buffers come and go, and its helper threads
 * marked beside the main thread for up to 0.15 µs an event, more than the main thread needs to receive one. Marking on
 * the main thread takes a few milliseconds at a time and hardly anything in sum.
 */
import { setFlagsFromString } from 'node:v8';

/** For this process and all its threads. Idempotent. */
export function markOnMainThread(): void {
  setFlagsFromString('--no-concurrent-marking');
}

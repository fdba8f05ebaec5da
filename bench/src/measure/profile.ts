/** Reads a .cpuprofile of V8: which functions a thread spent its time in. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Profile {
  readonly nodes: readonly ProfileNode[];
  /** Node ids, one a sample, and the microseconds since the sample before. */
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

interface ProfileNode {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
}

export interface HotFunction {
  /** Such as "scanEvent (validate/scan-event.js:40)". */
  readonly name: string;
  /** Of the thread's busy time, itself without what it calls. */
  readonly share: number;
  readonly selfUs: number;
}

export interface ProfileSummary {
  readonly busyUs: number;
  /** Hottest first. */
  readonly functions: readonly HotFunction[];
}

/** Not work: the thread waits. "(program)" is work, that of native code such as the socket's. */
const waiting = new Set(['(idle)', '(root)']);

export function summarize(profile: Profile): ProfileSummary {
  const names = new Map(profile.nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]));
  const selfUs = new Map<string, number>();
  let busyUs = 0;
  profile.samples.forEach((id, index) => {
    const name = names.get(id) ?? '(unknown)';
    const us = Math.max(0, profile.timeDeltas[index] ?? 0);
    if (waiting.has(name)) return;
    busyUs += us;
    selfUs.set(name, (selfUs.get(name) ?? 0) + us);
  });
  const functions = [...selfUs]
    .sort(([, a], [, b]) => b - a)
    .map(([name, us]) => ({ name, share: us / busyUs, selfUs: us }));
  return { busyUs, functions };
}

/** The summaries of a folder's profiles by file name: one for each thread. */
export function readProfiles(directory: string): Map<string, ProfileSummary> {
  const files = readdirSync(directory).filter((name) => name.endsWith('.cpuprofile'));
  return new Map(
    files
      .sort()
      .map((name) => [name, summarize(JSON.parse(readFileSync(join(directory, name), 'utf8')) as Profile)]),
  );
}

function nameOf({ functionName, url, lineNumber }: ProfileNode['callFrame']): string {
  if (url === '') return functionName === '' ? '(native)' : functionName;
  // The last two folders tell which file is meant.
  const path = url.split('/').slice(-2).join('/');
  return `${functionName === '' ? '(anonymous)' : functionName} (${path}:${lineNumber + 1})`;
}

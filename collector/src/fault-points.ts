/**
 * Where the fault suite breaks the collector: named points at which the process kills itself, and bugs
 * planted on purpose, to show that the suite would see them.
 *
 * A plan reaches a process only through the constructor of `Collector` (or `armFaults` in a test). No
 * flag, variable or configuration key leads here, so nothing is armed in production, where a point
 * costs one comparison per group of requests, never one per event.
 */

export const faultPoints = [
  'append.before',
  'append.after',
  'sync.before',
  'sync.after',
  'acknowledge.before',
  'acknowledge.after',
  'seal.before',
  'seal.after',
  'insert.before',
  'insert.after',
  'in-doubt-check.before',
  'in-doubt-check.after',
  'quarantine.before',
  'quarantine.after',
  'remove.before',
  'remove.after',
] as const;
export type FaultPoint = (typeof faultPoints)[number];

/** Each is a mistake that a careful reader could make, in one line of the code that it spoils. */
export const plantedBugs = {
  'acknowledge-before-sync': 'a request is acknowledged when it is written, before its fdatasync',
  'no-directory-sync': 'a new segment is used although its name is not durable',
  'retry-failed-sync': 'a failed fdatasync is called again, and its second answer believed',
  'acknowledge-after-failure': 'a call that began before a failure of the log is acknowledged after it',
  'forget-durable-sequences': 'a start does not read the durable sequences, so duplicates are appended',
  'accept-hole': "a request that leaves a hole in its producer's sequences is appended",
  'skip-checksum': 'a frame is believed without its checksum',
  'recut-on-replay': 'a recovered segment is inserted as two batches with ids of their own',
  'fresh-token': 'every try of an INSERT has a deduplication token of its own',
  'skip-in-doubt-check': 'a batch is sent again without asking whether it is in the table',
  'believe-status-200': 'an exception in the body of a 200 answer is taken for success',
  'remove-before-commit': 'a segment is removed when it is handed to the store, not when it is committed',
  'drop-loss': "the last row of a segment's losses is left out",
  'quarantine-whole-batch': 'the events around a refused one are neither stored nor kept',
} as const;
export type PlantedBug = keyof typeof plantedBugs;

export interface FaultPlan {
  /** Kill the process by SIGKILL when it reaches `point` for the `hit`-th time, from 1, in one thread. */
  readonly killAt?: { readonly point: FaultPoint; readonly hit: number };
  readonly plant?: PlantedBug;
}

let plan: FaultPlan | undefined;
let hits = 0;

/** Arms this thread with a plan, or disarms it. */
export function armFaults(next: FaultPlan | undefined): void {
  plan = next;
  hits = 0;
}

/** The process comes by this point. */
export function reach(point: FaultPoint): void {
  if (plan?.killAt === undefined || plan.killAt.point !== point) return;
  if (++hits === plan.killAt.hit) process.kill(process.pid, 'SIGKILL');
}

export function isPlanted(bug: PlantedBug): boolean {
  return plan !== undefined && plan.plant === bug;
}

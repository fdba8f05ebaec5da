/**
 * What a process has used so far: CPU of all its threads together, the peak of its memory, and the CPU
 * of each thread that is still there (Linux only; elsewhere the list is empty).
 */
import { readdirSync, readFileSync } from 'node:fs';

export interface ThreadUsage {
  readonly id: number;
  readonly cpuUs: number;
}

export interface Usage {
  /** User and system time of the process with all its threads, ended ones included. */
  readonly cpuUs: number;
  /** The most memory that was resident at once, in the whole life of the process. */
  readonly rssPeakBytes: number;
  readonly pid: number;
  readonly threads: readonly ThreadUsage[];
}

/** The kernel reports in ticks of 1/100 s to every program, whatever its own clock (USER_HZ). */
const usPerTick = 10_000;

export function ownUsage(): Usage {
  const { user, system } = process.cpuUsage();
  return { cpuUs: user + system, rssPeakBytes: ownRssPeakBytes(), pid: process.pid, threads: ownThreads() };
}

/**
 * That of this process and of all that it has started and that are there: a collector's workers. CPU is added up, and
 * so are the peaks, although they need not have been at the same time.
 */
export function treeUsage(): Usage {
  const own = ownUsage();
  let { cpuUs, rssPeakBytes } = own;
  for (const pid of descendants(process.pid)) {
    const stat = readProc(`/proc/${pid}/stat`);
    const status = readProc(`/proc/${pid}/status`);
    if (stat === undefined || status === undefined) continue;
    cpuUs += cpuUsOfStat(stat);
    rssPeakBytes += rssPeakBytesOfStatus(status) ?? 0;
  }
  return { ...own, cpuUs, rssPeakBytes };
}

function descendants(pid: number): number[] {
  const children = readTasks(pid)
    .flatMap((task) => (readProc(`/proc/${pid}/task/${task}/children`) ?? '').split(' '))
    .filter((child) => child.trim() !== '')
    .map(Number);
  return children.flatMap((child) => [child, ...descendants(child)]);
}

function readTasks(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

/** Ticks of user and system time in a line of /proc/PID/stat or /proc/PID/task/TID/stat. */
export function cpuUsOfStat(stat: string): number {
  // The second field is the name in brackets, and may itself hold blanks and brackets.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [userTicks, systemTicks] = [Number(fields[11]), Number(fields[12])];
  if (!Number.isFinite(userTicks) || !Number.isFinite(systemTicks)) {
    throw new Error(`not a line of /proc/PID/stat: ${stat.slice(0, 100)}`);
  }
  return (userTicks + systemTicks) * usPerTick;
}

/** VmHWM of /proc/PID/status, or undefined if it is not there. */
export function rssPeakBytesOfStatus(status: string): number | undefined {
  const match = /^VmHWM:\s+(\d+) kB$/m.exec(status);
  return match === null ? undefined : Number(match[1]) * 1024;
}

/** How the CPU between two usages of one process is shared among its threads. */
export interface ThreadShares {
  /** The thread that runs the event loop. */
  readonly mainUs: number;
  /** The busiest other thread that lived throughout: the worker thread, in a process with one. */
  readonly busiestUs: number;
  /** All others: libuv's pool, the garbage collector's and the compiler's helpers. */
  readonly restUs: number;
}

export function shareThreads(before: Usage, after: Usage): ThreadShares | undefined {
  const earlier = new Map(before.threads.map(({ id, cpuUs }) => [id, cpuUs]));
  const used = after.threads.map(({ id, cpuUs }) => ({ id, cpuUs: cpuUs - (earlier.get(id) ?? 0) }));
  const main = used.find(({ id }) => id === after.pid);
  if (main === undefined) return undefined;
  const busiestUs = Math.max(0, ...used.filter((thread) => thread !== main).map(({ cpuUs }) => cpuUs));
  const restUs = Math.max(0, after.cpuUs - before.cpuUs - main.cpuUs - busiestUs);
  return { mainUs: main.cpuUs, busiestUs, restUs };
}

function ownRssPeakBytes(): number {
  // Linux counts the parent's memory at the fork into maxRSS; VmHWM starts anew with the program.
  const status = readProc('/proc/self/status');
  const peak = status === undefined ? undefined : rssPeakBytesOfStatus(status);
  return peak ?? process.resourceUsage().maxRSS * 1024;
}

function ownThreads(): ThreadUsage[] {
  try {
    return readdirSync('/proc/self/task').flatMap((id) => {
      const stat = readProc(`/proc/self/task/${id}/stat`);
      return stat === undefined ? [] : [{ id: Number(id), cpuUs: cpuUsOfStat(stat) }];
    });
  } catch {
    return [];
  }
}

/** A thread may end between its listing and its reading. */
function readProc(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

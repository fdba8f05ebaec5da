/**
 * Who a producer's folder belongs to, and whether that process still lives.
 *
 * A process id alone could be another process's by now, so its start time decides (as for the collector's lock);
 * a start time counts from the boot of its kernel, and a process id within its namespace. Only what all of these
 * make comparable is judged: a process in another container or on another host cannot be seen from here.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/** The text between the `@`s of a folder's name, and what it says. */
export interface Owner {
  readonly host: string;
  /** The kernel's boot id, without dashes; `0` where it is not told. */
  readonly boot: string;
  /** The process id namespace; `0` where there is none. */
  readonly namespace: string;
  readonly pid: number;
  /** When it started, in the kernel's ticks; `0` where it is not told. */
  readonly start: string;
}

export type Life = 'alive' | 'dead' | 'elsewhere'; // on another host, in another container, or written by a later version: nobody can tell here

let own: Owner | undefined;

/** This process as an owner. */
export function thisProcess(): Owner {
  own ??= {
    host:
      hostname()
        .replace(/[^A-Za-z0-9._-]/g, '_')
        .slice(0, 64) || '_',
    boot: bootId(),
    namespace: pidNamespace(),
    pid: process.pid,
    start: startTime(process.pid) || '0',
  };
  return own;
}

export function ownerText({ host, boot, namespace, pid, start }: Owner): string {
  return [host, boot, namespace, pid, start].join('@');
}

export function parseOwner(text: string): Owner | undefined {
  const [, host, boot, namespace, pid, start] =
    /^([A-Za-z0-9._-]+)@([0-9a-f]+)@(\d+)@([1-9]\d{0,9})@(\d+)$/.exec(text) ?? [];
  if (!host || !boot || !namespace || !pid || !start) return undefined;
  return { host, boot, namespace, pid: Number(pid), start };
}

/** Whether an owner lives, as seen by `me`. */
export function judge(owner: Owner | undefined, me: Owner): Life {
  if (owner === undefined || owner.host !== me.host) return 'elsewhere';
  // The same host, but its kernel was started anew since.
  if (owner.boot !== me.boot) return 'dead';
  if (owner.namespace !== me.namespace) return 'elsewhere';
  if (owner.pid !== me.pid) {
    try {
      process.kill(owner.pid, 0);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ESRCH') return 'dead';
    }
  }
  if (owner.start === '0') return 'alive';
  const start = startTime(owner.pid);
  return start === '' || start === owner.start ? 'alive' : 'dead';
}

/** Empty where /proc does not tell. */
function startTime(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The second field is the command in parentheses, which may hold spaces; the state is field 3, the start time
    // field 22. A zombie is dead, whoever has yet to reap it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? 'dead' : (fields[19] ?? '');
  } catch {
    return '';
  }
}

function bootId(): string {
  try {
    const text = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim().replaceAll('-', '');
    return /^[0-9a-f]+$/.test(text) ? text : '0';
  } catch {
    return '0';
  }
}

function pidNamespace(): string {
  try {
    return /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? '0';
  } catch {
    return '0';
  }
}

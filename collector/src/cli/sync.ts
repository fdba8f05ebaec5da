/** `sluice sync`: delivers what jobs left in a spool directory, once each; one line a producer. */
import { readdirSync } from 'node:fs';
import { defaultSpoolDir, type SyncedProducer, type SyncResult, syncSpool } from '@sluice/sdk';
import { exitCodes } from './exit-codes.js';
import { CommandFailure } from './failure.js';
import { renderTable, type TableColumn } from './table.js';

export interface SyncFlags {
  readonly endpoint?: string;
  readonly otherHosts?: boolean;
  readonly timeout?: number;
  readonly json?: boolean;
}

const columns: readonly TableColumn[] = [
  { title: 'producer' },
  { title: 'project' },
  { title: 'run' },
  { title: 'rank', align: 'right' },
  { title: 'events', align: 'right' },
  { title: 'delivered', align: 'right' },
  { title: 'lost', align: 'right' },
  { title: 'state' },
];

/** Where a spool is if nobody says: as with the SDK. */
export function spoolDirectory(given: string | undefined): string {
  return given ?? (process.env['SLUICE_SPOOL_DIR']?.trim() || `./${defaultSpoolDir}`);
}

export async function sync(given: string | undefined, flags: SyncFlags): Promise<void> {
  const directory = spoolDirectory(given);
  const stop = new AbortController();
  const interrupt = (): void => stop.abort();
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  try {
    const result = await syncSpool(directory, {
      endpoint: flags.endpoint,
      otherHosts: flags.otherHosts,
      ...(flags.timeout !== undefined && { timeoutMs: flags.timeout * 1000 }),
      signal: stop.signal,
      onProducer: (producer) => {
        if (flags.json === true) process.stdout.write(`${JSON.stringify(producer)}\n`);
      },
      onProgress: ({ run, delivered, events }) => {
        if (process.stderr.isTTY) process.stderr.write(`run ${run}: ${delivered} of ${events} events\n`);
      },
      onDiagnostic: ({ message }) => process.stderr.write(`sluice: ${message}\n`),
    });
    report(directory, result, flags);
  } catch (error) {
    if (error instanceof RangeError) {
      throw new CommandFailure(`sluice: ${error.message}; change it with --endpoint`, exitCodes.usage);
    }
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' && given === undefined && !process.env['SLUICE_SPOOL_DIR']?.trim())
      return say(
        flags,
        `There is no spool directory ${directory}: nothing to deliver.\nAnother one:\n  npx sluice sync DIR\n`,
      );
    if (code === undefined || !/^E[A-Z]+$/.test(code)) throw error;
    throw new CommandFailure(
      code === 'ENOENT'
        ? `sluice: there is no directory ${directory}; give the one that the jobs have as spoolDir (SLUICE_SPOOL_DIR)`
        : `sluice: the directory ${directory} cannot be read: ${message}`,
      exitCodes.dataUnusable,
    );
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
  }
}

function report(directory: string, { producers, isComplete }: SyncResult, flags: SyncFlags): void {
  if (producers.length === 0) {
    const others = otherNames(directory);
    say(
      flags,
      others.length === 0
        ? `${directory} holds nothing to deliver.\n`
        : `${directory} holds nothing to deliver, but ${others.join(', ')}. If that is not the directory that the jobs have as spoolDir:\n  npx sluice sync DIR\n`,
    );
    return;
  }
  if (flags.json !== true) {
    process.stdout.write(renderTable(columns, producers.map(row)));
    for (const line of notes(producers)) process.stdout.write(`${line}\n`);
  }
  const damaged = producers.filter(({ state }) => state === 'damaged').length;
  if (isComplete) {
    if (damaged === 0) return;
    throw new CommandFailure(
      `sluice: the spool of ${damaged} of ${producers.length} producers is damaged: what is sound was delivered, numbers that are known are rows in losses (spool_damaged), the files are kept in ${directory}\nLook:\n  npx sluice losses --reason spool_damaged`,
    );
  }
  const left = producers.filter(({ state }) => ['left', 'unreadable', 'other host'].includes(state));
  const hasOthers = left.some(({ state }) => state === 'other host');
  const isUnreachable = left.some(({ detail }) => /UNAVAILABLE|ECONNREFUSED/.test(detail));
  const again = [
    `npx sluice sync ${directory}`,
    flags.endpoint !== undefined && `--endpoint ${flags.endpoint}`,
    (flags.otherHosts === true || hasOthers) && '--other-hosts',
    flags.timeout !== undefined && `--timeout ${flags.timeout}`,
  ]
    .filter(Boolean)
    .join(' ');
  throw new CommandFailure(
    `sluice: not everything was delivered; ${left.length} of ${producers.length} producers are left in ${directory}\n` +
      (hasOthers
        ? `If the processes on other hosts are gone:\n  ${again}`
        : isUnreachable
          ? `Start a collector (npx sluice up), or say where one is with --endpoint HOST:PORT. Then:\n  ${again}`
          : `Again:\n  ${again}`),
  );
}

/** What lies there besides spools: a hint that it is another directory, or what was put aside. */
function otherNames(directory: string): string[] {
  const names = readdirSync(directory);
  const damaged = names.filter((name) => /\.damaged(-\d+)?$/.test(name)).length;
  const rest = names.length - damaged;
  return [
    ...(damaged > 0 ? [`${damaged} damaged spools that were put aside`] : []),
    ...(rest > 0 ? [`${rest} files or folders that are no spools`] : []),
  ];
}

function row(producer: SyncedProducer): string[] {
  const { producerId, project, run, rank, events, delivered, lost, state } = producer;
  // Folders that were not opened tell nothing but whose they are.
  if (run === '') return [producerId, '', '', '', '', '', '', state];
  return [producerId, project, run, String(rank), String(events), String(delivered), String(lost), state];
}

function notes(producers: readonly SyncedProducer[]): string[] {
  return producers
    .filter(({ detail }) => detail !== '')
    .map(({ producerId, detail }) => `${producerId}: ${detail}`);
}

/** Text for people; with --json, no line is the answer. */
function say(flags: SyncFlags, text: string): void {
  if (flags.json !== true) process.stdout.write(text);
}

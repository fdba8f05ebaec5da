/** Asks one question: its processes, its deadline, an end by signal; then says where it was measured. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describeMachine } from './machine.js';
import { readProfiles } from './measure/profile.js';
import type { Answer, Options, Question } from './question.js';
import { BenchRun } from './run/bench-run.js';
import { aligned } from './table.js';

const exitCodes = { SIGINT: 130, SIGTERM: 143 } as const;

export async function ask(question: Question, options: Options): Promise<Answer> {
  const run = await BenchRun.open({ deadlineMs: question.deadlineMs(options) });
  const end = (signal: 'SIGINT' | 'SIGTERM'): void => {
    console.error(`\n${signal}: ending the bench's processes`);
    void run.close().finally(() => process.exit(exitCodes[signal]));
  };
  process.once('SIGINT', end).once('SIGTERM', end);
  try {
    return await Promise.race([question.ask(options, run), run.failed]);
  } finally {
    await run.close();
    process.off('SIGINT', end).off('SIGTERM', end);
  }
}

/** What a figure means little without; it stands behind the figures. */
export function contextOf(answer: Answer, options: { profiled: boolean; args: readonly string[] }) {
  const settings = Object.entries(process.env).filter(([name]) => name.startsWith('SLUICE_'));
  return {
    /** SLUICE_… variables that were set: what was measured is then not the default. */
    settings: Object.fromEntries(settings),
    profiled: options.profiled,
    machine: describeMachine(answer.engineVersion),
    date: new Date().toISOString(),
    command: ['npm', 'run', 'bench', '--', ...withoutFiles(options.args)].join(' '),
  };
}

/** Where the result was written to says nothing about it. */
export function withoutFiles(args: readonly string[]): string[] {
  const isFile = (arg: string | undefined): boolean => arg === '--json' || arg === '--profile';
  return args.filter(
    (arg, index) => !isFile(arg) && !isFile(args[index - 1]) && !/^--(json|profile)=/.test(arg),
  );
}

export function showProfiles(directory: string): void {
  for (const role of readdirSync(directory)) {
    for (const [file, { busyUs, functions }] of readProfiles(join(directory, role))) {
      console.error(`\n${role}, ${file}: busy ${(busyUs / 1e6).toFixed(2)} s`);
      const rows = functions
        .slice(0, 15)
        .map(({ name, share }) => [name, `${(share * 100).toFixed(1)}`, '%'] as const);
      console.error(aligned(rows));
    }
  }
}

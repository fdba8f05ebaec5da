import { wireLimits } from './limits.js';

/** `offline`: nothing is sent, everything goes to the spool. */
export type Mode = 'online' | 'offline';

/** How events are sent: as `EventBlock`s, or each as an `Event`. */
export type Encoding = 'blocks' | 'rows';

/** What the environment says about this process; what it does not say is absent. */
export interface Environment {
  endpoint?: string;
  project?: string;
  run?: string;
  job?: string;
  rank?: number;
  localRank?: number;
  worldSize?: number;
  attempt?: number;
  spoolDir?: string;
  mode?: Mode;
  encoding?: Encoding;
  /** One sentence for each variable that was ignored. */
  readonly warnings: readonly string[];
}

type Variables = Readonly<Record<string, string | undefined>>;

/**
 * Who starts ranks, the most precise first: torchrun runs inside a SLURM step, and so does mpirun, and
 * then SLURM's numbers are those of the launcher. Ranks are taken from the first that names one, all
 * three together, so that a rank of one never meets the world size of another.
 */
const launchers = [
  { rank: 'RANK', localRank: 'LOCAL_RANK', worldSize: 'WORLD_SIZE' },
  {
    rank: 'OMPI_COMM_WORLD_RANK',
    localRank: 'OMPI_COMM_WORLD_LOCAL_RANK',
    worldSize: 'OMPI_COMM_WORLD_SIZE',
  },
  { rank: 'SLURM_PROCID', localRank: 'SLURM_LOCALID', worldSize: 'SLURM_NTASKS' },
] as const;

/** Reads Sluice's own variables and those of torchrun, Open MPI and SLURM. Pure; never throws. */
export function resolveEnvironment(variables: Variables): Environment {
  const warnings: string[] = [];
  const environment: Environment = { warnings };
  const text = (name: string): string | undefined => {
    const value = variables[name]?.trim();
    return value ? value : undefined;
  };
  const whole = (name: string, min: number, max: number): number | undefined => {
    const value = text(name);
    if (value === undefined) return undefined;
    const number = /^\d+$/.test(value) ? Number(value) : Number.NaN;
    if (number >= min && number <= max) return number;
    warnings.push(
      `environment variable ${name} is ${JSON.stringify(value)}; ignored, it must be a whole number ` +
        `from ${min} to ${max}`,
    );
    return undefined;
  };
  const oneOf = <Word extends string>(name: string, words: readonly Word[]): Word | undefined => {
    const value = text(name);
    const found = words.find((word) => word === value);
    if (value !== undefined && found === undefined) {
      warnings.push(
        `environment variable ${name} is ${JSON.stringify(value)}; ignored, it must be ${words.join(' or ')}`,
      );
    }
    return found;
  };

  set(environment, 'endpoint', text('SLUICE_ENDPOINT'));
  set(environment, 'project', text('SLUICE_PROJECT'));
  set(environment, 'job', text('SLUICE_JOB'));
  set(environment, 'spoolDir', text('SLUICE_SPOOL_DIR'));
  set(environment, 'mode', oneOf('SLUICE_MODE', ['online', 'offline']));
  set(environment, 'encoding', oneOf('SLUICE_ENCODING', ['blocks', 'rows']));
  set(environment, 'run', text('SLUICE_RUN') ?? torchrunRun(text) ?? slurmRun(text));

  for (const launcher of launchers) {
    const rank = whole(launcher.rank, 0, wireLimits.uint32);
    if (rank === undefined) continue;
    environment.rank = rank;
    set(environment, 'localRank', whole(launcher.localRank, 0, wireLimits.uint32));
    set(environment, 'worldSize', whole(launcher.worldSize, 1, wireLimits.uint32));
    break;
  }

  // A job that SLURM requeued starts torchrun anew, whose own count then begins at 0 again.
  const restarts = [
    whole('TORCHELASTIC_RESTART_COUNT', 0, wireLimits.attempt),
    whole('SLURM_RESTART_COUNT', 0, wireLimits.attempt),
  ].filter((count) => count !== undefined);
  if (restarts.length > 0) {
    environment.attempt = Math.min(
      restarts.reduce((sum, count) => sum + count, 0),
      wireLimits.attempt,
    );
  }
  return environment;
}

function torchrunRun(text: (name: string) => string | undefined): string | undefined {
  const run = text('TORCHELASTIC_RUN_ID');
  // What torchrun says when nobody named the run: the same for all of them, so no name at all.
  return run === 'none' ? undefined : run;
}

function slurmRun(text: (name: string) => string | undefined): string | undefined {
  const array = text('SLURM_ARRAY_JOB_ID');
  const task = text('SLURM_ARRAY_TASK_ID');
  // As squeue and sacct print a task of an array.
  if (array !== undefined && task !== undefined) return `${array}_${task}`;
  return text('SLURM_JOB_ID');
}

function set<Key extends Exclude<keyof Environment, 'warnings'>>(
  environment: Environment,
  key: Key,
  value: Environment[Key] | undefined,
): void {
  if (value !== undefined) environment[key] = value;
}

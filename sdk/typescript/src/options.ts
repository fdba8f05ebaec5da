import { resolve } from 'node:path';
import type { Diagnostic } from './diagnostics.js';
import { type Endpoint, parseEndpoint } from './endpoint.js';
import { type Encoding, type Mode, resolveEnvironment } from './environment.js';
import { type NumberOption, numberOptions, wireLimits } from './limits.js';

/** Everything is optional; what is absent comes from the environment, then from the default. */
export interface LoggerOptions {
  /** Where the collector is: `host:port`, `http://host:port`, `https://host:port` (TLS), or a gRPC
   *  target such as `unix:/run/sluice.sock`. SLUICE_ENDPOINT; default 127.0.0.1:4317. */
  readonly endpoint?: string | undefined;
  /** What the run belongs to. SLUICE_PROJECT; default "default". */
  readonly project?: string | undefined;
  /** The run; all ranks of a job share it. SLUICE_RUN, TORCHELASTIC_RUN_ID, SLURM_JOB_ID; default: a
   *  new, readable name. */
  readonly run?: string | undefined;
  /** The kind of process within the run, such as "train". SLUICE_JOB; default empty. */
  readonly job?: string | undefined;
  /** Global rank, from 0. RANK, OMPI_COMM_WORLD_RANK, SLURM_PROCID; default 0. */
  readonly rank?: number | undefined;
  /** Rank on this host, from 0. Default unknown. */
  readonly localRank?: number | undefined;
  /** Number of ranks. Default unknown. */
  readonly worldSize?: number | undefined;
  /** How often the run was restarted before. Default 0. */
  readonly attempt?: number | undefined;
  /** Default: the host's name. */
  readonly host?: string | undefined;
  /** Free labels of the producer, at most 64; numbers and booleans become text. */
  readonly labels?: Readonly<Record<string, string | number | boolean>> | undefined;
  /** Encoded bytes held in memory at most, unacknowledged ones included. Default 64 MiB. */
  readonly bufferBytes?: number | undefined;
  /** Size at which a request is sealed. Default 1 MiB. */
  readonly requestBytes?: number | undefined;
  /** Age at which a request is sealed. Default: what the collector asks for with `callAgeMs`; 200 until it has answered,
   *  or if that is given. */
  readonly requestAgeMs?: number | undefined;
  /** Age of its oldest event at which a call is ended for its acknowledgment. Default: what the collector asks for, 100
   *  to 1000; 1000 if it does not ask, as earlier collectors do not. */
  readonly callAgeMs?: number | undefined;
  /** Size at which a call is ended for its acknowledgment. Default 4 MiB. */
  readonly callBytes?: number | undefined;
  /** How long a call may make no progress before it is given up and sent again. Default 30,000. */
  readonly ackTimeoutMs?: number | undefined;
  /** Default deadline of `flush()`. Default 30,000. */
  readonly flushTimeoutMs?: number | undefined;
  /** Default deadline of `close()`. Default 5000. */
  readonly closeTimeoutMs?: number | undefined;
  /** How long a process that ends by itself is held up to deliver what is left. Default 5000. */
  readonly exitTimeoutMs?: number | undefined;
  /** A directory for what cannot be delivered: it survives the end of the process, and the next logger with that
   *  directory, or `sluice sync`, delivers it. SLUICE_SPOOL_DIR; default none, but `./sluice-spool` offline. */
  readonly spoolDir?: string | undefined;
  /** Bytes that this logger's files in that directory may take. Default 1 GiB. */
  readonly spoolBytes?: number | undefined;
  /** `offline`: no connection is made, everything goes to the spool. SLUICE_MODE; default `online`. */
  readonly mode?: Mode | undefined;
  /** How events are sent: `blocks`, or `rows` for a collector that does not know blocks. SLUICE_ENCODING; default
   *  `blocks`. */
  readonly encoding?: Encoding | undefined;
  /** First and largest bound of the random delays between attempts. Default 100 and 10,000. */
  readonly backoffMinMs?: number | undefined;
  readonly backoffMaxMs?: number | undefined;
  /** Takes problems instead of stderr; each kind at most once in ten minutes, but `reached` after each `unreachable`.
   *  Must not throw. */
  readonly onDiagnostic?: ((diagnostic: Diagnostic) => void) | undefined;
}

/** Options after defaults, environment and checks. */
export interface Settings extends Readonly<Record<NumberOption, number>> {
  readonly endpoint: Endpoint;
  readonly project: string;
  readonly run: string;
  readonly job: string;
  readonly rank: number;
  readonly localRank: number | undefined;
  readonly worldSize: number | undefined;
  readonly attempt: number;
  readonly host: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Absolute; undefined: no spool. */
  readonly spoolDir: string | undefined;
  readonly mode: Mode;
  readonly encoding: Encoding;
  /** Whether `requestAgeMs` and `callAgeMs` were options, and not the defaults. */
  readonly isRequestAgeGiven: boolean;
  readonly isCallAgeGiven: boolean;
  readonly onDiagnostic: ((diagnostic: Diagnostic) => void) | undefined;
  /** One sentence for each option or variable that was ignored. */
  readonly warnings: readonly string[];
}

export interface Surroundings {
  readonly variables: Readonly<Record<string, string | undefined>>;
  readonly host: string;
  /** The run if nobody named one. */
  readonly newRun: () => string;
}

/** Where the offline mode writes if nobody says; `sluice sync` looks there too. */
export const defaultSpoolDir = 'sluice-spool';

const defaultEndpoint: Endpoint = { target: '127.0.0.1:4317', tls: false };

/** Puts options, environment and defaults together. What is wrong is ignored with a warning; never throws. */
export function resolveOptions(given: unknown, surroundings: Surroundings): Settings {
  const environment = resolveEnvironment(surroundings.variables);
  const warnings = [...environment.warnings];
  const options = asOptions(given, warnings);
  warnUnknown(options, warnings);

  const text = (name: 'project' | 'run' | 'job' | 'host' | 'spoolDir'): string | undefined => {
    const value = options[name];
    if (value === undefined || value === null || value === '') return undefined;
    if (typeof value === 'string') return value;
    warnings.push(ignored(name, value, 'a string'));
    return undefined;
  };
  const whole = (name: string, range: { min: number; max: number }): number | undefined => {
    const value = options[name];
    if (value === undefined || value === null) return undefined;
    if (typeof value === 'number' && Number.isInteger(value) && value >= range.min && value <= range.max) {
      return value;
    }
    warnings.push(ignored(name, value, `a whole number from ${range.min} to ${range.max}`));
    return undefined;
  };
  const uint32 = { min: 0, max: wireLimits.uint32 };

  const isGiven = new Set<string>();
  const numbers = Object.fromEntries(
    Object.entries(numberOptions).map(([name, range]) => {
      const number = whole(name, range);
      if (number !== undefined) isGiven.add(name);
      return [name, number ?? range.default];
    }),
  ) as Record<NumberOption, number>;
  // A buffer that is a single request, or a single call, would be full whenever it waits for an answer.
  numbers.requestBytes = Math.min(numbers.requestBytes, Math.floor(numbers.bufferBytes / 4));
  numbers.callBytes = Math.min(numbers.callBytes, Math.floor(numbers.bufferBytes / 2));

  const run = text('run') ?? environment.run;
  const worldSize = whole('worldSize', { min: 1, max: wireLimits.uint32 }) ?? environment.worldSize;
  if (run === undefined && worldSize !== undefined && worldSize > 1) {
    warnings.push(
      `no run is given (option run, SLUICE_RUN) but there are ${worldSize} ranks: each gets a run of its own; ` +
        'give all of them the same one',
    );
  }
  const { onDiagnostic, endpoint: givenEndpoint, labels: givenLabels } = options;
  const mode = oneOf('mode', options, ['online', 'offline'], warnings) ?? environment.mode ?? 'online';
  const encoding =
    oneOf('encoding', options, ['blocks', 'rows'], warnings) ?? environment.encoding ?? 'blocks';
  const spoolDir =
    text('spoolDir') ?? environment.spoolDir ?? (mode === 'offline' ? defaultSpoolDir : undefined);
  if (onDiagnostic !== undefined && typeof onDiagnostic !== 'function') {
    warnings.push(ignored('onDiagnostic', onDiagnostic, 'a function'));
  }
  return {
    ...numbers,
    endpoint: endpoint(givenEndpoint, environment.endpoint, warnings),
    project: text('project') ?? environment.project ?? 'default',
    run: run ?? surroundings.newRun(),
    job: text('job') ?? environment.job ?? '',
    rank: whole('rank', uint32) ?? environment.rank ?? 0,
    localRank: whole('localRank', uint32) ?? environment.localRank,
    worldSize,
    attempt: whole('attempt', { min: 0, max: wireLimits.attempt }) ?? environment.attempt ?? 0,
    host: text('host') ?? surroundings.host,
    labels: labels(givenLabels, warnings),
    spoolDir: spoolDir === undefined ? undefined : absolute(spoolDir),
    mode,
    encoding,
    isRequestAgeGiven: isGiven.has('requestAgeMs'),
    isCallAgeGiven: isGiven.has('callAgeMs'),
    onDiagnostic: typeof onDiagnostic === 'function' ? (onDiagnostic as Settings['onDiagnostic']) : undefined,
    warnings,
  };
}

/** Because a job may change its working directory. */
function absolute(path: string): string {
  try {
    return resolve(path);
  } catch {
    // The working directory is gone, and so are relative paths; that is reported when the spool is written.
    return path;
  }
}

function oneOf<Word extends string>(
  name: 'mode' | 'encoding',
  options: Given,
  words: readonly Word[],
  warnings: string[],
): Word | undefined {
  const given = options[name];
  if (given === undefined || given === null || given === '') return undefined;
  const found = words.find((word) => word === given);
  if (found === undefined) warnings.push(ignored(name, given, words.map((word) => `'${word}'`).join(' or ')));
  return found;
}

type Given = Record<string, unknown>;

/** All options that are not numbers; the compiler holds it to `LoggerOptions`. */
const otherOptions: Readonly<Record<Exclude<keyof LoggerOptions, NumberOption>, true>> = {
  endpoint: true,
  project: true,
  run: true,
  job: true,
  rank: true,
  localRank: true,
  worldSize: true,
  attempt: true,
  host: true,
  labels: true,
  spoolDir: true,
  mode: true,
  encoding: true,
  onDiagnostic: true,
};
const optionNames: readonly string[] = [...Object.keys(numberOptions), ...Object.keys(otherOptions)];

/** A word with another case, or with underscores, is the likeliest slip: `spool_dir` comes from Python. */
function warnUnknown(options: Given, warnings: string[]): void {
  const plain = (name: string): string => name.replaceAll(/[^a-z0-9]/gi, '').toLowerCase();
  for (const name of Object.keys(options)) {
    if (optionNames.includes(name)) continue;
    const meant = optionNames.find((known) => plain(known) === plain(name));
    const hint = meant === undefined ? '' : `; did you mean ${meant}?`;
    warnings.push(`there is no option ${name.slice(0, 100)}; ignored${hint}`);
  }
}

function asOptions(given: unknown, warnings: string[]): Given {
  if (given === undefined || given === null) return {};
  if (typeof given !== 'object') {
    warnings.push(ignored('options', given, 'an object'));
    return {};
  }
  try {
    // A copy, so that getters run once and here.
    return { ...given };
  } catch (error) {
    warnings.push(`the options cannot be read (${String(error)}); ignored`);
    return {};
  }
}

function endpoint(given: unknown, fromEnvironment: string | undefined, warnings: string[]): Endpoint {
  const isGiven = given !== undefined && given !== null && given !== '';
  const value = isGiven ? given : fromEnvironment;
  if (value === undefined) return defaultEndpoint;
  // Nothing but a string: a number would be a port without a host.
  const parsed = typeof value === 'string' ? parseEndpoint(value) : undefined;
  if (parsed !== undefined) return parsed;
  const forms = `host:port, http://host:port or https://host:port; ${defaultEndpoint.target} is used`;
  warnings.push(ignored('endpoint', value, forms));
  return defaultEndpoint;
}

function labels(given: unknown, warnings: string[]): Record<string, string> {
  const result: Record<string, string> = {};
  if (given === undefined || given === null) return result;
  if (typeof given !== 'object') {
    warnings.push(ignored('labels', given, 'an object'));
    return result;
  }
  let entries: [string, unknown][] = [];
  try {
    entries = Object.entries(given);
  } catch (error) {
    warnings.push(`the labels cannot be read (${String(error)}); ignored`);
  }
  let left: number = wireLimits.labelsPerProducer;
  for (const [key, value] of entries) {
    if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') {
      warnings.push(ignored(`labels.${key}`, value, 'a string, a number or a boolean'));
    } else if (left === 0) {
      warnings.push(`label ${key} is one too many; ignored, ${wireLimits.labelsPerProducer} are allowed`);
    } else {
      result[key] = String(value);
      left--;
    }
  }
  return result;
}

function ignored(name: string, value: unknown, allowed: string): string {
  return `option ${name} is ${shown(value)}; ignored, it must be ${allowed}`;
}

/** A short text of anything, whatever it does when asked for one. */
function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 100));
  if (typeof value === 'object' && value !== null) return 'an object';
  return typeof value === 'symbol' || typeof value === 'function' ? `a ${typeof value}` : String(value);
}

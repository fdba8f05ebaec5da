/**
 * Typed configuration: defaults from limits.ts, then a YAML file, then SLUICE_… variables, then the
 * command line. What is not known is an error that names the nearest known key.
 */
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';
import { SluiceError } from './errors.js';
import {
  embeddedLimits,
  listenDefaults,
  messageLimits,
  receiveLimits,
  stopLimits,
  storeLimits,
  walLimits,
} from './limits.js';

type Numbers = Readonly<Record<string, number>>;

/** A section of whole, positive numbers whose keys and defaults are those of limits.ts. */
function section<Limits extends Numbers>(limits: Limits) {
  const shape = Object.fromEntries(
    Object.entries(limits).map(([name, value]) => [name, z.number().int().positive().default(value)]),
  ) as { [Name in keyof Limits]: z.ZodDefault<z.ZodNumber> };
  return z.strictObject(shape).prefault({} as never);
}

const configSchema = z.strictObject({
  logLevel: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
  grpc: z
    .strictObject({
      address: z
        .string()
        .regex(/^(\[[^\]]+\]|[^:]+):\d{1,5}$/, 'must be HOST:PORT')
        .default(listenDefaults.grpc),
    })
    .prefault({}),
  data: z.strictObject({ directory: z.string().min(1).default('sluice-data') }).prefault({}),
  store: z
    .strictObject({
      url: z
        .url({ protocol: /^https?$/ })
        .default(`http://${listenDefaults.storeHost}:${listenDefaults.storePort}`),
      database: z.string().min(1).default('default'),
      ...section(storeLimits).unwrap().shape,
    })
    .prefault({}),
  message: section(messageLimits),
  receive: section(receiveLimits),
  wal: section(walLimits),
  stop: section(stopLimits),
  embedded: z
    .strictObject({
      host: z.string().min(1).default(listenDefaults.storeHost),
      port: z.number().int().min(0).max(65535).default(listenDefaults.storePort),
      ...section(embeddedLimits).unwrap().shape,
    })
    .prefault({}),
});

export type Config = z.output<typeof configSchema>;

/** A partial configuration, as it comes from one source. */
export interface Layer {
  readonly [key: string]: unknown;
}

/** Variables and the settings they stand for, such as SLUICE_WAL_SEGMENT_AGE_MS for wal.segmentAgeMs. */
export function variableNames(): Map<string, readonly [section: string, key: string]> {
  const names = new Map<string, readonly [string, string]>();
  const defaults = configSchema.parse({});
  for (const [name, value] of Object.entries(defaults)) {
    if (typeof value !== 'object') continue;
    for (const key of Object.keys(value)) {
      const snake = key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
      names.set(`SLUICE_${name.toUpperCase()}_${snake}`, [name, key]);
    }
  }
  names.set('SLUICE_LOG_LEVEL', ['', 'logLevel']);
  return names;
}

/** Variables of the SDKs, which a job and its sidecar may share. */
const sdkVariables = [
  'SLUICE_ENDPOINT',
  'SLUICE_PROJECT',
  'SLUICE_RUN',
  'SLUICE_JOB',
  'SLUICE_SPOOL_DIR',
  'SLUICE_MODE',
  'SLUICE_ENCODING',
];

/** The layer that environment variables make. One that begins with SLUICE_ and is not known is an error. */
export function environmentLayer(env: NodeJS.ProcessEnv): Layer {
  const known = [...variableNames().keys()];
  for (const name of Object.keys(env)) {
    if (!name.startsWith('SLUICE_') || known.includes(name) || sdkVariables.includes(name)) continue;
    throw new SluiceError(
      'configuration',
      `unknown variable ${name}; the nearest known one is ${nearest(name, [...known, ...sdkVariables])}`,
    );
  }
  const layer: Record<string, Record<string, unknown> | unknown> = {};
  for (const [variable, [name, key]] of variableNames()) {
    const text = env[variable];
    if (text === undefined || text === '') continue;
    const value = /^-?\d+$/.test(text) ? Number(text) : text;
    if (name === '') layer[key] = value;
    else layer[name] = { ...(layer[name] as object | undefined), [key]: value };
  }
  return layer;
}

/** The layer of a YAML file. */
export function fileLayer(path: string): Layer {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new SluiceError(
      'configuration',
      `the configuration file ${path} cannot be read: ${(cause as Error).message}`,
      { cause },
    );
  }
  let value: unknown;
  try {
    value = parse(text);
  } catch (cause) {
    throw new SluiceError(
      'configuration',
      `the configuration file ${path} is not valid YAML: ${(cause as Error).message}`,
      { cause },
    );
  }
  if (value === null || value === undefined) return {};
  if (typeof value !== 'object' || Array.isArray(value)) {
    throw new SluiceError(
      'configuration',
      `the configuration file ${path} must hold sections such as "wal:", not ${typeof value}`,
    );
  }
  return value as Layer;
}

/** Puts layers together, later ones over earlier ones, and checks the result. */
export function makeConfig(...layers: readonly Layer[]): Config {
  const merged: Record<string, unknown> = {};
  for (const layer of layers) {
    for (const [name, value] of Object.entries(layer)) {
      if (value === undefined) continue;
      const before = merged[name];
      merged[name] =
        isSection(before) && isSection(value) ? { ...before, ...withoutUndefined(value) } : value;
    }
  }
  const result = configSchema.safeParse(merged);
  if (result.success) return checkAges(result.data);
  throw new SluiceError(
    'configuration',
    result.error.issues.map((issue) => describeIssue(issue, merged)).join('\n'),
  );
}

function checkAges(config: Config): Config {
  const { segmentAgeMs, segmentMostAgeMs } = config.wal;
  if (segmentMostAgeMs >= segmentAgeMs) return config;
  throw new SluiceError(
    'configuration',
    `configuration key wal.segmentMostAgeMs is ${segmentMostAgeMs} and wal.segmentAgeMs is ${segmentAgeMs}: a segment that holds little is not sealed before one that holds much; set wal.segmentMostAgeMs to at least ${segmentAgeMs}`,
  );
}

function isSection(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function withoutUndefined(value: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== undefined));
}

function describeIssue(issue: z.core.$ZodIssue, merged: Record<string, unknown>): string {
  const path = issue.path.map(String);
  if (issue.code === 'unrecognized_keys') {
    const known = knownKeys();
    return issue.keys
      .map((key) => {
        const name = [...path, key].join('.');
        return `unknown configuration key ${name}; the nearest known one is ${nearest(name, known)}`;
      })
      .join('\n');
  }
  let actual: unknown = merged;
  for (const key of path) actual = isSection(actual) ? actual[key] : undefined;
  return `configuration key ${path.join('.')} is ${JSON.stringify(actual)}: ${issue.message}`;
}

function knownKeys(): string[] {
  return Object.entries(configSchema.parse({})).flatMap(([name, value]) =>
    typeof value === 'object' ? [name, ...Object.keys(value).map((key) => `${name}.${key}`)] : [name],
  );
}

/** The known key with the fewest edits to `name`. */
export function nearest(name: string, known: readonly string[]): string {
  let best = '';
  let least = Number.POSITIVE_INFINITY;
  for (const candidate of known) {
    const edits = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (edits < least) {
      least = edits;
      best = candidate;
    }
  }
  return best;
}

/** Levenshtein's distance, row by row. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const substitution = (previous[column - 1] as number) + (a[row - 1] === b[column - 1] ? 0 : 1);
      current.push(
        Math.min(substitution, (previous[column] as number) + 1, (current[column - 1] as number) + 1),
      );
    }
    previous = current;
  }
  return previous[b.length] as number;
}

/** The flags that several commands share: how they are spelled, checked and explained. */
import { InvalidArgumentError, Option } from 'commander';
import { workerLimits } from '../limits.js';

export interface ConfigFlags {
  readonly config?: string;
  readonly data?: string;
  readonly grpc?: string;
  readonly workers?: number;
  readonly store?: string;
  readonly database?: string;
  readonly host?: string;
  readonly port?: number;
  readonly json?: boolean;
}

export function configOption(): Option {
  return new Option('--config <FILE>', 'a YAML file of settings; SLUICE_… variables and flags win over it');
}

export function dataOption(): Option {
  return new Option('--data <DIR>', 'the data directory (default: ./sluice-data)');
}

export function grpcOption(): Option {
  return new Option(
    '--grpc <HOST:PORT>',
    'where SDKs connect; port 0: any free one (default: 127.0.0.1:4317)',
  ).argParser(parseAddress);
}

export function workersOption(): Option {
  return new Option(
    '--workers <N>',
    'processes that share the port, each with a log of its own (default: 1)',
  ).argParser(parseWorkers);
}

export function storeOption(): Option {
  return new Option(
    '--store <URL>',
    'the HTTP address of ClickHouse or of the embedded store (default: SLUICE_STORE_URL, then http://127.0.0.1:8123)',
  ).argParser(parseUrl);
}

export function databaseOption(): Option {
  return new Option('--database <NAME>', 'the database that holds the tables (default: default)');
}

export function portOption(flag: string): Option {
  return new Option(
    `${flag} <N>`,
    "the embedded store's HTTP port; 0: any free one (default: 8123)",
  ).argParser(parsePort);
}

export function jsonOption(): Option {
  return new Option('--json', 'when ready, print one line of JSON instead of text');
}

export function parseWorkers(text: string): number {
  const workers = /^\d{1,2}$/.test(text) ? Number(text) : Number.NaN;
  if (workers >= 1 && workers <= workerLimits.mostWorkers) return workers;
  throw new InvalidArgumentError(`The number of workers is from 1 to ${workerLimits.mostWorkers}.`);
}

export function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (port >= 0 && port <= 65_535) return port;
  throw new InvalidArgumentError('A port is a number from 0 to 65535; 0 means any free one.');
}

export function parseAddress(text: string): string {
  const port = /^(?:\[[^\]]+\]|[^:]+):(\d{1,5})$/.exec(text)?.[1];
  if (port !== undefined && Number(port) <= 65_535) return text;
  throw new InvalidArgumentError('An address is HOST:PORT, such as 127.0.0.1:4317 or [::1]:4317.');
}

export function parseUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return text;
  throw new InvalidArgumentError(
    'A store is an HTTP URL, such as http://127.0.0.1:8123 or https://user:password@host:8443.',
  );
}

export function parseSeconds(text: string): number {
  const seconds = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (seconds <= 86_400) return seconds;
  throw new InvalidArgumentError('A timeout is a number of seconds from 0 to 86400; 0 means never.');
}

/** `name=value`, as often as wanted. */
export function collectParameter(
  text: string,
  before: Readonly<Record<string, string>>,
): Record<string, string> {
  const [, name, value] = /^([A-Za-z_]\w*)=([\s\S]*)$/.exec(text) ?? [];
  if (name === undefined || value === undefined) {
    throw new InvalidArgumentError('A parameter is name=value, and stands in the SQL as {name:Type}.');
  }
  return { ...before, [name]: value };
}

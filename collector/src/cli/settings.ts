/** The configuration of one command: a file, then SLUICE_… variables, then flags. */
import { join } from 'node:path';
import { type Config, environmentLayer, fileLayer, type Layer, makeConfig } from '../config.js';
import type { ConfigFlags } from './flags.js';

/** @param defaults what this command has otherwise than limits.ts, below everything that is said */
export function settingsOf(flags: ConfigFlags, defaults: Layer = {}): Config {
  const given: Layer = {
    data: { directory: flags.data },
    grpc: { address: flags.grpc },
    store: { url: flags.store, database: flags.database },
    embedded: { host: flags.host, port: flags.port },
  };
  return makeConfig(
    defaults,
    flags.config === undefined ? {} : fileLayer(flags.config),
    environmentLayer(process.env),
    withoutAbsent(given),
    { workers: flags.workers },
  );
}

/** The embedded store's part of a data directory; the write-ahead log lies beside it. */
export function storeDirectory(config: Config): string {
  return join(config.data.directory, 'store');
}

/** A URL that may be shown and typed again, without its password. */
export function shownUrl(url: string): string {
  const parsed = new URL(url);
  if (parsed.password !== '') parsed.password = '***';
  return parsed.href.replace(/\/$/, '');
}

function withoutAbsent(layer: Layer): Layer {
  return Object.fromEntries(
    Object.entries(layer).map(([name, section]) => [
      name,
      Object.fromEntries(Object.entries(section as object).filter(([, value]) => value !== undefined)),
    ]),
  );
}

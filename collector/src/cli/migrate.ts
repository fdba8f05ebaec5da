/** `sluice migrate`: applies the schema and checks that the collector can write to it. */
import { eventsColumns } from '../encode/encode-segment.js';
import { SluiceError } from '../errors.js';
import { prepareSchema } from '../store/schema.js';
import type { ConfigFlags } from './flags.js';
import { settingsOf, shownUrl } from './settings.js';

/** Statements of a migration may wait for other replicas. */
const timeoutMs = 60_000;

export async function migrate(flags: ConfigFlags): Promise<void> {
  const { url, database } = settingsOf(flags).store;
  const outcome = await prepareSchema({ url, database }, eventsColumns, timeoutMs);
  switch (outcome.kind) {
    case 'mismatch':
      throw new SluiceError('schema_mismatch', outcome.problem);
    case 'unavailable':
      throw new SluiceError(
        'store_unavailable',
        `the schema cannot be applied at ${shownUrl(url)}, database ${database}: ${outcome.problem}. ` +
          'Start a store (npx sluice up) or give the URL of one with --store URL or SLUICE_STORE_URL.',
      );
    case 'ready':
      for (const file of outcome.applied) process.stdout.write(`applied ${file}\n`);
      process.stdout.write(`${shownUrl(url)}, database ${database}: up to date\n`);
  }
}

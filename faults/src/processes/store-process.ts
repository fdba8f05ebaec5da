/** The embedded store in a process of its own, as `sluice store` runs it. */
import { createEmbeddedStore, type EmbeddedStore } from '@sluice/collector/embedded/embedded-store.js';
import type { StoreCalls } from './protocol.js';
import { serve } from './serve.js';

const report = (fields: object, message: string): void => {
  console.error(`store: ${message}`, fields);
};
let store: EmbeddedStore | undefined;

const calls: StoreCalls = {
  async start({ dataDir, port }) {
    store = createEmbeddedStore({
      dataDir,
      host: '127.0.0.1',
      port,
      log: { info: () => {}, warn: report, error: report },
    });
    return store.start();
  },
  async end() {
    await store?.stop();
  },
};
serve(calls);

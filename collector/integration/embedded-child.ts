// A store in a process of its own, for tests that kill it. Arguments: data directory, port, limits as JSON.
import { createEmbeddedStore } from '@sluice/collector/embedded/embedded-store.js';

const [dataDir, port, limits] = process.argv.slice(2);
const log = (obj: object, msg: string): void => console.error(msg, obj);
const store = createEmbeddedStore({
  dataDir: dataDir!,
  host: '127.0.0.1',
  port: Number(port),
  limits: JSON.parse(limits ?? '{}'),
  log: { info: () => {}, warn: log, error: log },
});
process.once('SIGTERM', () => {
  void store.stop().then(() => process.exit(0));
});
try {
  console.log(JSON.stringify(await store.start()));
} catch (error) {
  const { code, message } = error as { code?: string; message: string };
  console.log(JSON.stringify({ code, message }));
  process.exit(1);
}

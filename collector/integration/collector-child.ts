// A collector in a process of its own, for tests that kill it. Argument: its configuration as JSON.
import { Collector } from '@sluice/collector/collector.js';
import { makeConfig } from '@sluice/collector/config.js';
import { openLog } from '@sluice/collector/process-log.js';

const config = makeConfig(JSON.parse(process.argv[2] ?? '{}'));
const collector = new Collector(config, openLog(config.logLevel), (error) => {
  console.error(error);
  process.exit(70);
});
process.once('SIGTERM', () => {
  void collector.stop().then(() => process.exit(0));
});
try {
  console.log(JSON.stringify({ port: await collector.start() }));
} catch (error) {
  const { code, message } = error as { code?: string; message: string };
  console.log(JSON.stringify({ code, message }));
  process.exit(1);
}

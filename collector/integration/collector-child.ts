// A collector in a process of its own, for tests that kill it. Arguments: its configuration as JSON, and
// if it is to be broken, its FaultPlan as JSON.
import { Collector } from '@sluice/collector/collector.js';
import { makeConfig } from '@sluice/collector/config.js';
import type { FaultPlan } from '@sluice/collector/fault-points.js';
import { openLog } from '@sluice/collector/process-log.js';

const config = makeConfig(JSON.parse(process.argv[2] ?? '{}'));
const faults = process.argv[3] === undefined ? undefined : (JSON.parse(process.argv[3]) as FaultPlan);
const onCrash = (error: Error): void => {
  console.error(error);
  process.exit(70);
};
const collector = new Collector(config, openLog(config.logLevel), onCrash, faults);
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

import { Diagnostics } from '../diagnostics.js';
import { encodeProducer } from '../encode/producer.js';
import { SluiceLogger } from '../logger.js';
import { type LoggerOptions, resolveOptions } from '../options.js';
import { uuid7, uuidText } from '../uuid7.js';
import { CollectorModel } from './collector-model.js';
import { FakeClock } from './fake-clock.js';
import { type Faults, ModelTransport } from './model-transport.js';

export interface TestLogger {
  readonly logger: SluiceLogger;
  readonly model: CollectorModel;
  readonly clock: FakeClock;
  readonly transport: ModelTransport;
  readonly diagnostics: string[];
}

/** A logger on a fake clock, in front of a collector in memory. */
export function testLogger(given: {
  options?: LoggerOptions;
  faults?: Faults;
  random?: () => number;
  isEnding?: () => boolean;
}): TestLogger {
  const clock = new FakeClock();
  const model = new CollectorModel();
  const transport = new ModelTransport(model, clock, given.faults);
  const diagnostics: string[] = [];
  const settings = resolveOptions(given.options, { variables: {}, host: 'h', newRun: () => 'run' });
  const id = uuid7(clock.wallMs());
  const facts = { id, pid: 1, sdkName: 'test', sdkVersion: '0', startMs: clock.wallMs() };
  const logger = new SluiceLogger({
    settings,
    producerId: uuidText(id),
    producer: encodeProducer({ ...settings, ...facts }),
    clock,
    transport,
    diagnostics: new Diagnostics(clock, ({ kind, message }) => diagnostics.push(`${kind}: ${message}`)),
    random: given.random ?? (() => 0.5),
    ...(given.isEnding && { isEnding: given.isEnding }),
  });
  return { logger, model, clock, transport, diagnostics };
}

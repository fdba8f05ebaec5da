/**
 * What does an event cost the SDK itself? The bench's events (bench/src/workload): five names in turn, each with four
 * metrics, one constant attribute and a step.
 *
 * Method: a logger in front of a transport that acknowledges everything and sends nothing, so that what is measured is
 * the log call, sealing and the delivery's bookkeeping, without gRPC. CPU is process.cpuUsage, user and system, over
 * rounds of 1,000,000 events with a turn of the event loop after every 2,000; the same loop without the log call is
 * measured in between and subtracted, since it is the generator's. Printed: the median and the best round.
 *
 * node sdk/typescript/measure/encode.mjs [requestBytes, default 1 MiB] [encoding, default blocks] [rounds, default 9]
 */
import { systemClock } from '../dist/clock.js';
import { Diagnostics } from '../dist/diagnostics.js';
import { encodeProducer } from '../dist/encode/producer.js';
import { SluiceLogger } from '../dist/logger.js';
import { resolveOptions } from '../dist/options.js';
import { uuid7, uuidText } from '../dist/uuid7.js';

const requestBytes = Number(process.argv[2] ?? 1024 * 1024);
const encoding = process.argv[3] ?? 'blocks';
const rounds = Number(process.argv[4] ?? 9);
const events = 1_000_000;

let sentBytes = 0;
const transport = {
  open: (ended) => ({
    write(message, written) {
      sentBytes += message.length;
      setImmediate(written);
    },
    halfClose: () =>
      setImmediate(ended, {
        kind: 'acknowledged',
        response: { durableSequence: Number.MAX_SAFE_INTEGER, duplicates: 0, rejected: 0 },
      }),
    cancel() {},
  }),
  disconnect() {},
};
const settings = resolveOptions(
  { requestBytes, encoding, bufferBytes: 1024 ** 3 },
  { variables: {}, host: 'h', newRun: () => 'run' },
);
const id = uuid7(Date.now());
const facts = { ...settings, id, pid: 1, sdkName: 'measure', sdkVersion: '0', startMs: Date.now() };
const log = new SluiceLogger({
  settings,
  producerId: uuidText(id),
  producer: encodeProducer(facts),
  clock: systemClock,
  transport,
  diagnostics: new Diagnostics(systemClock, undefined),
});

const source = 'fixtures/training-logs/llm-c-124m.log';
const makers = [
  [
    'train.step',
    (i) => ({
      train_loss: 1 / i,
      train_time_ms: i * 216,
      step_avg_ms: 216.25 + (i & 7),
      total_steps: 1e4,
      source,
    }),
  ],
  ['train.optimizer', (i) => ({ trl: 2 / i, lr: 3e-4, norm: 1.5 + (i & 3), tokens: i * 524_288, source })],
  [
    'train.eval',
    (i) => ({ val_loss: 3 / i, train_time_ms: i * 216, step_avg_ms: 216.5, total_steps: 1e4, source }),
  ],
  [
    'train.speed',
    (i) => ({ train_time_ms: i * 216, step_avg_ms: 216.5, steps_left: 1e4 - i, total_steps: 1e4, source }),
  ],
  [
    'gpu.memory',
    (i) => ({
      peak_memory_allocated_mib: i,
      peak_memory_reserved_mib: 4096,
      unused_mib: 5,
      uptime_ms: i * 216,
      source,
    }),
  ],
];
// Kept for a moment, so that making them is not optimized away.
const generated = new Array(8);
const generate = (name, fields, options) => {
  generated[options.step & 7] = name.length > 0 ? fields : options;
  generated[(options.step + 1) & 7] = options;
};
const logged = (name, fields, options) => log.event(name, fields, options);

async function round(take) {
  const before = process.cpuUsage();
  for (let i = 1; i <= events; i += 5) {
    for (let k = 0; k < 5; k++) {
      const [name, make] = makers[k];
      take(name, make(i), { step: i });
    }
    if (i % 2000 === 1) await new Promise(setImmediate);
  }
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1000) / events;
}

await round(logged);
await round(generate);
const costs = [];
for (let index = 0; index < rounds; index++) {
  const ownCost = await round(generate);
  costs.push((await round(logged)) - ownCost);
}
await log.flush();
costs.sort((a, b) => a - b);
const { logged: count, acknowledged } = log.stats();
console.log(
  `${encoding}, requests of ${requestBytes} bytes: CPU an event ${Math.round(costs[rounds >> 1])} ns (best ` +
    `${Math.round(costs[0])}), ${(sentBytes / count).toFixed(1)} bytes an event, ${acknowledged} of ${count} acknowledged`,
);
await log.close();

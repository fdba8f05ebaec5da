/**
 * What does a log call cost? An event with four metrics and one attribute, the usual training step.
 *
 * Method: a collector in another process (the fake one of the tests, which decodes nothing if asked so) takes
 * everything; events are logged in bursts of 1,000 with a pause, so that sending runs beside it. Latency is
 * measured around each call with process.hrtime.bigint (whose own cost is measured and printed); CPU is
 * process.cpuUsage over the whole run, sending included, so it also holds gRPC's share. Memory: heap and
 * external bytes that one call allocates, from process.memoryUsage around 20,000 calls into an empty buffer.
 *
 * node sdk/typescript/measure/log-call.mjs [events, default 1,000,000]
 */
import { spawn } from 'node:child_process';
import { createLogger } from '@sluice/sdk';

const events = Number(process.argv[2] ?? 1_000_000);
const collector = spawn(process.execPath, [new URL('sink.mjs', import.meta.url).pathname], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
const port = await new Promise((resolve) =>
  collector.stdout.once('data', (text) => resolve(String(text).trim())),
);

const log = createLogger({ endpoint: `127.0.0.1:${port}`, run: 'measure', bufferBytes: 1024 ** 3 });
const step = (i) =>
  log.event(
    'train.step',
    { loss: 1 / i, lr: 3e-4, grad_norm: 1.5 * i, tokens_per_s: 1e5 + i, phase: 'train' },
    { step: i },
  );
const pause = () => new Promise((resolve) => setTimeout(resolve, 0));

for (let i = 1; i <= 200_000; i++) {
  step(i);
  if (i % 1000 === 0) await pause();
}
await log.flush();

const latencies = new Float64Array(Math.min(events, 500_000));
for (let i = 0; i < latencies.length; i++) {
  const from = process.hrtime.bigint();
  step(i + 1);
  latencies[i] = Number(process.hrtime.bigint() - from);
  if (i % 1000 === 999) await pause();
}
const empty = new Float64Array(200_000);
for (let i = 0; i < empty.length; i++) {
  const from = process.hrtime.bigint();
  empty[i] = Number(process.hrtime.bigint() - from);
}
await log.flush();
latencies.sort();
empty.sort();
const at = (sorted, share) => Math.round(sorted[Math.floor(sorted.length * share)]);
console.log(
  `latency of a call, ns: p50 ${at(latencies, 0.5)}, p99 ${at(latencies, 0.99)}, p99.9 ${at(latencies, 0.999)}, ` +
    `max ${at(latencies, 0.999999)} (of which measuring: ${at(empty, 0.5)})`,
);

const callsOnly = [];
const cpuBefore = process.cpuUsage();
const startedMs = performance.now();
for (let i = 0; i < events; i += 1000) {
  const fromMs = performance.now();
  for (let j = 1; j <= 1000; j++) step(i + j);
  callsOnly.push((performance.now() - fromMs) * 1000);
  await pause();
}
const flushed = await log.flush();
const wallMs = performance.now() - startedMs;
const cpu = process.cpuUsage(cpuBefore);
callsOnly.sort((a, b) => a - b);
console.log(
  `a call in a burst of 1,000, ns: median ${Math.round(callsOnly[callsOnly.length >> 1])}, ` +
    `best ${Math.round(callsOnly[0])}`,
);
console.log(
  `CPU an event, sending included, ns: ${Math.round(((cpu.user + cpu.system) * 1000) / events)}; ` +
    `${Math.round(events / wallMs)} thousand events a second acknowledged (${flushed.acknowledged})`,
);

globalThis.gc?.();
const before = process.memoryUsage();
for (let i = 1; i <= 20_000; i++) step(i);
const after = process.memoryUsage();
console.log(
  `allocated by a call, bytes: heap ${Math.round((after.heapUsed - before.heapUsed) / 20_000)} (the caller's own ` +
    `objects included), buffers ${Math.round((after.external - before.external) / 20_000)}`,
);
console.log(log.stats());
await log.close();
collector.kill();

/** Replays requests that a real inference service recorded, as if this process served them. */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { createLogger } from '@sluice/sdk';
import { tellParent } from './messages.js';
import { parseRequests } from './recorded-requests.js';

/** The recording takes minutes; this many requests every tenth of a second take a few seconds. */
const requestsPerTick = 20;
const tickMs = 100;

process.once('disconnect', () => process.exit(1));

const log = createLogger();
const requests = parseRequests(readFileSync(process.env['DEMO_REQUESTS'] ?? '', 'utf8'));
for (const [index, request] of requests.entries()) {
  log.event(
    'inference.request',
    { context_tokens: request.contextTokens, generated_tokens: request.generatedTokens },
    { step: index + 1, time: request.timeUnixNano },
  );
  if ((index + 1) % requestsPerTick === 0) {
    await tellParent({ kind: 'progress', done: index + 1 });
    await delay(tickMs);
  }
}
await log.close({ timeoutMs: 30_000 });
const { logged, acknowledged } = log.stats();
await tellParent({ kind: 'finished', logged, acknowledged });
process.exit(0);

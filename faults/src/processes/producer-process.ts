/** A job that does nothing but log: loggers of the real SDK at a given rate. */
import { Random } from '../random.js';
import { LoggerPump } from './logger-pump.js';
import type { ProducerCalls, ProducerSettings } from './protocol.js';
import { notify, serve } from './serve.js';

/** Events between two turns of the event loop, as in a job's step, and at most so much time's worth at once. */
const turnMs = 4;
const mostCatchUpMs = 100;
/** Log calls in a row: a few milliseconds, so that sockets and timers get their turn. */
const eventsPerTurn = 1000;

let pumps: LoggerPump[] = [];
let holdBytes = 0;
let perMs = 0;
let owed = 0;
let next = 0;
let lastMs = 0;
let timer: NodeJS.Timeout | undefined;
let random = new Random(0);
let settings: ProducerSettings | undefined;

function turn(): void {
  const nowMs = performance.now();
  owed = Math.min(owed + (nowMs - lastMs) * perMs, mostCatchUpMs * perMs);
  lastMs = nowMs;
  const events = Math.min(Math.floor(owed), eventsPerTurn);
  owed -= events;
  const share = Math.ceil(events / pumps.length);
  for (let left = events; left > 0; left -= share) {
    const pump = pumps[next++ % pumps.length] as LoggerPump;
    if (holdBytes > 0 && pump.stats.bufferedBytes > holdBytes) continue;
    pump.log(Math.min(share, left));
  }
  // What is owed beyond one turn follows at once, but sockets come first.
  timer = setTimeout(turn, owed >= eventsPerTurn ? 0 : turnMs);
}

const calls: ProducerCalls = {
  async start(given) {
    settings = given;
    const { endpoint, project, run, job, host, attempt, padBytes, lossEvery, isPlain, sdk } = given;
    random = new Random(given.seed);
    holdBytes = given.holdBytes;
    perMs = given.eventsPerSecond / 1000;
    pumps = Array.from(
      { length: given.loggers },
      (_, index) =>
        new LoggerPump(
          { rank: given.firstRank + index, padBytes, lossEvery, isPlain },
          { ...sdk, endpoint, project, run, job, host, attempt },
          (producerId, acknowledgedThrough) => notify({ producerId, acknowledgedThrough }),
        ),
    );
    return pumps.map(({ producerId, key }) => ({ producerId, rank: key.rank }));
  },
  async go() {
    const { flushEveryMs } = settings as ProducerSettings;
    lastMs = performance.now();
    turn();
    for (const pump of pumps) void pump.flushLoop(() => random.next() * flushEveryMs);
  },
  async setRate({ eventsPerSecond }) {
    perMs = eventsPerSecond / 1000;
  },
  async totals() {
    const stats = pumps.map((pump) => pump.stats);
    return {
      logged: stats.reduce((sum, { logged }) => sum + logged, 0),
      dropped: stats.reduce((sum, { dropped }) => sum + Object.values(dropped).reduce((a, b) => a + b, 0), 0),
      lastError: stats.map(({ lastError }) => lastError).find((error) => error !== undefined),
    };
  },
  async setClock({ offsetMs }) {
    const { setClockOffset } = await import('./stepping-clock.js');
    setClockOffset(offsetMs);
  },
  async finish({ timeoutMs }) {
    clearTimeout(timer);
    return Promise.all(pumps.map((pump) => pump.finish(timeoutMs)));
  },
  async end() {
    clearTimeout(timer);
  },
};
serve(calls);

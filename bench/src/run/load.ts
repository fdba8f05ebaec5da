/** A load through all parts, from the first log call until SQL counts every event. */
import { monotonicMs, sleep } from '../measure/clock.js';
import { sum } from '../measure/figures.js';
import type { Load } from '../processes/protocol.js';
import type { Collecting, Parts } from './parts.js';
import { numbersOf, sql } from './store-sql.js';

export interface Logged {
  readonly events: number;
  readonly startMs: number;
  /** The last log call, and what was committed by then. */
  readonly loggedMs: number;
  readonly committedWhileLogging: number;
  readonly acknowledgedMs: number;
  readonly visibleMs: number;
  /** Of all SDK processes, from the first log call to the last acknowledgment. */
  readonly cpuUs: number;
  /** Requests that SDKs sent again, because the collector refused them or did not answer. */
  readonly resends: number;
}

/** Logs into an empty table. */
export async function logAll(parts: Parts, load: Load): Promise<Logged> {
  const { sdks, storeUrl } = parts;
  const committedBefore = await committedEvents(parts);
  const logging = sdks.map((sdk, index) => sdk.ask('log', shareOf(load, index, sdks.length)));
  // Each flushes at once, and not when the slowest has logged its share.
  const flushing = Promise.all(
    sdks.map(async (sdk, index) => {
      await logging[index];
      return sdk.ask('flush');
    }),
  );
  // Awaited below; a process that is lost rejects both.
  flushing.catch(() => {});
  const times = await Promise.all(logging);
  const committedWhileLogging = (await committedEvents(parts)) - committedBefore;
  const outcomes = await flushing;
  const events = sum(outcomes.map(({ acknowledged }) => acknowledged));
  const isShort = 'events' in load && events !== load.events;
  if (isShort || events === 0 || outcomes.some(({ dropped }) => dropped > 0)) {
    throw new Error(`not all events were acknowledged: ${JSON.stringify({ load, outcomes })}`);
  }
  await waitForCommitted(parts, committedBefore + events);
  const [visible] = numbersOf(await sql(storeUrl, 'SELECT count() FROM events'));
  if (visible !== events) throw new Error(`${events} events were committed, but SQL counts ${visible}`);
  return {
    events,
    startMs: Math.min(...times.map(({ startMs }) => startMs)),
    loggedMs: Math.max(...times.map(({ loggedMs }) => loggedMs)),
    committedWhileLogging,
    acknowledgedMs: Math.max(...outcomes.map(({ acknowledgedMs }) => acknowledgedMs)),
    visibleMs: monotonicMs(),
    cpuUs: sum(outcomes.map(({ cpuUs }) => cpuUs)),
    resends: sum(outcomes.map(({ resends }) => resends)),
  };
}

/** Asks the collector's own counter: asking SQL all the time would cost the store CPU that is measured. */
export async function waitForCommitted(parts: Pick<Collecting, 'collector'>, events: number): Promise<void> {
  while ((await committedEvents(parts)) < events) await sleep(10);
}

export async function committedEvents({ collector }: Pick<Collecting, 'collector'>): Promise<number> {
  const { committedEvents, quarantinedEvents, setAsideSegments } = await collector.ask('counters');
  if (quarantinedEvents > 0 || setAsideSegments > 0) throw new Error('the store refused events of the bench');
  return committedEvents;
}

/** The first takes what does not divide. */
export function shareOf(load: Load, index: number, processes: number): Load {
  if ('seconds' in load) return load;
  const share = Math.floor(load.events / processes);
  return { events: index === 0 ? load.events - share * (processes - 1) : share };
}

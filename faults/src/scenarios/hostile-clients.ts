/**
 * Clients that break every rule, while healthy ones log on. A round is a malformed input.
 *
 * 1. Each input gets an answer that is right for its kind, within the limits' time.
 * 2. The collector stays up, and its memory within a bound.
 * 3. Healthy clients are acknowledged all the time; in the full size the p99 of their flushes stays
 *    within twice the calm figure.
 * 4. What is stored of hostile clients is what was accepted, no more and no less, unaltered.
 */
import type { ClientHttp2Session } from 'node:http2';
import { decodeResponse } from '@sluice/collector/testing/wire.js';
import { paths } from '@sluice/proto';
import { blockKinds } from '../hostile/block-mutations.js';
import { ExpectedRows, notHealthy } from '../hostile/expected-rows.js';
import { floods } from '../hostile/floods.js';
import { costlyKinds, framingKinds, makeFraming, slowKinds } from '../hostile/framings.js';
import { fuzz, hex } from '../hostile/fuzz.js';
import { type Answer, framed, hostileCall, openSession } from '../hostile/hostile-call.js';
import { makeMessages, messageKinds } from '../hostile/mutations.js';
import type { SteadyCalls } from '../hostile/steady-protocol.js';
import type { ProducerAccount } from '../oracle/account.js';
import { judge } from '../oracle/judge.js';
import { Child } from '../processes/child.js';
import { Random } from '../random.js';
import { becomes, pause } from '../rig/deadline.js';
import { memoryOf } from '../rig/memory.js';
import { Rig } from '../rig/rig.js';
import type { Scenario } from '../scenario.js';

/** Short, so that half-open calls are ended within the run. */
const receive = { callIdleMs: 2000, messageMs: 2000 };
const connections = 4;
const inFlight = 12;
/** Between two inputs of one lane: what is measured is what they break, not how many a core can answer. */
const lanePauseMs = 4;
/** One input of these kinds for so many others. */
const slowEvery = 97;
const costlyEvery = 211;
/** The bound: what the calm collector uses under load, and the sum of its receive limits (limits.ts). */
const mostMemoryMiB = 512;
/** On a machine that others use too, a p99 below this says nothing. */
const latencyFloorMs = 100;
/** From here on the run is long enough to judge latencies. */
const judgedRounds = 20_000;

/** Requests of blocks whose verdict is held against the reference's, in this process. */
const judgedBlocks = 60_000;

/** Within this time of a flood, some healthy client must be acknowledged. */
const acknowledgmentMs = 20_000;

interface Phase {
  readonly name: string;
  readonly p99: number;
}

export const scenario: Scenario = {
  name: 'hostile-clients',
  summary: 'malformed messages, broken framing, floods and slow clients beside healthy ones',
  unit: 'malformed inputs',
  rounds: { short: 1500, full: 100_000 },
  async run(context) {
    const { rounds, seed, encoding } = context;
    const isFull = rounds >= judgedRounds;
    const rig = await Rig.start(context, { run: 'hostile-clients', collector: { receive } });
    const { collector, store, violations } = rig;
    const port = Number(collector.endpoint.split(':')[1]);
    const pid = collector.child.pid;
    const steady = new Child<SteadyCalls>({
      role: 'healthy client',
      entry: '../hostile/steady-process.js',
      onLost: (how) => violations.push(`the healthy clients ended by themselves: ${how}`),
    });
    context.onEnd(() => steady.kill());
    const producers = await steady.ask('start', {
      endpoint: collector.endpoint,
      run: 'hostile-clients',
      encoding,
      loggers: 4,
      eventsPerFlush: 20,
      pauseMs: 15,
    });

    const phases: Phase[] = [];
    /** Runs `work` as one phase, for which the healthy clients' latencies are told apart. */
    const phase = async (name: string, work: () => Promise<unknown>): Promise<void> => {
      await steady.ask('latencies');
      await work();
      const ms: number[] = [];
      let failures = 0;
      // A flush that began in a short phase is acknowledged after it, on a busy machine.
      await becomes(async () => {
        const more = await steady.ask('latencies');
        ms.push(...more.ms);
        failures += more.failures;
        return ms.length > 0;
      }, acknowledgmentMs);
      if (failures > 0) violations.push(`${name}: ${failures} flushes of healthy clients failed`);
      if (ms.length === 0) violations.push(`${name}: no healthy client was acknowledged`);
      if (!collector.isAlive || collector.child.pid !== pid)
        violations.push(`${name}: the collector did not stay up`);
      ms.sort((a, b) => a - b);
      phases.push({ name, p99: Math.round((ms[Math.floor(ms.length * 0.99)] ?? 0) * 10) / 10 });
    };

    const calmMs = isFull ? 15_000 : 800;
    const floodMs = isFull ? 5000 : 250;
    await pause(isFull ? 5000 : 300);
    await phase('calm before', () => pause(calmMs));
    const inputs = new Inputs(seed, port, violations);
    await phase('malformed inputs', () =>
      inputs.run(rounds, (done) => context.progress(done, `${inputs.accepted} accepted`)),
    );
    const inputsPeakMiB = memoryOf(pid).peakMiB;
    await phase('calm between', () => pause(calmMs));
    for (const [name, flood] of Object.entries(floods)) {
      await phase(name, () => flood({ port, forMs: floodMs, clients: isFull ? 1000 : 200 }));
      context.progress(rounds, name);
    }
    await pause(isFull ? 3000 : 300);
    await phase('calm after', () => pause(calmMs));

    // The verdict on each block, beside which the collector's answers say little of the reasons.
    const judged = fuzz(context.random.fork(2), isFull ? judgedBlocks : judgedBlocks / 60, blockKinds);
    violations.push(...judged.violations);

    const { peakMiB } = memoryOf(pid);
    if (peakMiB > mostMemoryMiB)
      violations.push(`the collector used ${peakMiB} MiB; at most ${mostMemoryMiB} are allowed`);
    const calm = phases.filter(({ name }) => name.startsWith('calm')).map(({ p99 }) => p99);
    const calmP99 = Math.max(...calm);
    const mostP99 = Math.max(2 * calmP99, latencyFloorMs);
    // Where calm phases differ by more than what is to be shown, others use the machine.
    const isQuiet = calmP99 <= Math.max(2 * Math.min(...calm), latencyFloorMs);
    for (const { name, p99 } of phases) {
      if (isFull && isQuiet && p99 > mostP99)
        violations.push(
          `${name}: the p99 of healthy flushes is ${p99} ms; calm it is ${calmP99} ms, at most ${mostP99} ms are allowed`,
        );
    }

    // Source first: then everything is on its way to the store.
    const finals = await steady.ask('finish', { timeoutMs: 60_000 });
    await steady.end();
    const healthy = producers.map(({ producerId }) => producerId);
    if (!(await becomes(() => collector.segments <= 1, 60_000))) violations.push('the log did not drain');
    await collector.end();
    violations.push(...(await inputs.expected.compare(store.client, healthy)));
    // A mutation may have moved where a producer begins, which it may do anywhere.
    for (const { id, first, last } of await store.client.rows<{ id: string; first: string; last: string }>(
      "SELECT lower(replaceAll(toString(producer_id), '-', '')) AS id, toString(first_sequence) AS first, toString(last_sequence) AS last FROM sequence_gaps WHERE first_sequence > 1 LIMIT 5",
    )) {
      violations.push(
        `sequence_gaps is not empty: ${first} to ${last} of producer ${id} (${inputs.expected.kindOf(id)})`,
      );
    }
    const { parked } = await store.client.row<{ parked: number }>('SELECT count() AS parked FROM quarantine');
    if (parked > 0) violations.push(`quarantine has ${parked} rows: the door took what the store refuses`);
    if (collector.damaged.length > 0) violations.push(`damaged: ${collector.damaged.join(', ')}`);
    // The oracle knows the healthy producers; what the others have stored was compared above.
    for (const table of ['events', 'losses', 'producers']) {
      await store.client.sql(
        `ALTER TABLE ${table} DELETE WHERE ${notHealthy(healthy)} SETTINGS mutations_sync = 1`,
      );
    }
    const accounts: ProducerAccount[] = finals.map((final) => ({
      producerId: final.producerId,
      project: 'faults',
      run: 'hostile-clients',
      job: 'steady',
      host: 'test-host',
      attempt: 0,
      padBytes: 0,
      lossEvery: 0,
      isPlain: false,
      rank: producers.find(({ producerId }) => producerId === final.producerId)?.rank ?? 0,
      acknowledgedThrough: final.acknowledgedThrough,
      final: final.isDelivered ? final : undefined,
    }));
    const verdict = await judge(store.client, accounts);
    return {
      ...verdict,
      violations: [...violations, ...verdict.violations],
      figures: {
        accepted: inputs.accepted,
        block_verdicts: judged.judged,
        blocks_taken: judged.taken,
        hostile_events_stored: inputs.expected.count,
        peak_mib: peakMiB,
        peak_of_inputs_mib: inputsPeakMiB,
        latency_judged: isFull ? (isQuiet ? 'yes' : 'no: calm phases differ too much') : 'no: too short',
        resends: finals.reduce((sum, { resends }) => sum + resends, 0),
        ...Object.fromEntries(phases.map(({ name, p99 }) => [`p99_ms ${name}`, p99])),
      },
    };
  },
};

/** All malformed inputs of a run, several in flight. */
class Inputs {
  readonly expected = new ExpectedRows();
  accepted = 0;
  readonly #seed: number;
  readonly #port: number;
  readonly #violations: string[];
  readonly #sessions: ClientHttp2Session[] = [];
  readonly #waiting: Promise<void>[] = [];

  constructor(seed: number, port: number, violations: string[]) {
    this.#seed = seed;
    this.#port = port;
    this.#violations = violations;
  }

  async run(rounds: number, progress: (done: number) => void): Promise<void> {
    let next = 0;
    const lane = async (): Promise<void> => {
      while (next < rounds) {
        const input = next++;
        const kind = kindOf(input);
        const done = this.#one(kind, input);
        // They take as long as the collector waits for them.
        if (slowKinds.includes(kind)) this.#waiting.push(done);
        else await done;
        if (input % 100 === 0) progress(input);
        await pause(lanePauseMs);
      }
    };
    await Promise.all(Array.from({ length: inFlight }, lane));
    await Promise.all(this.#waiting);
    for (const session of this.#sessions) session.destroy();
    progress(rounds);
  }

  #session(input: number): ClientHttp2Session {
    const place = input % connections;
    const session = this.#sessions[place];
    if (session !== undefined && !session.closed && !session.destroyed) return session;
    const opened = openSession(this.#port);
    this.#sessions[place] = opened;
    return opened;
  }

  async #one(kind: string, input: number): Promise<void> {
    // Each input has its own generator, so that it can be made again from its number alone.
    const random = new Random(this.#seed).fork(input);
    if (framingKinds.includes(kind)) await this.#framing(kind, input, random);
    else await this.#messages(kind, input, random);
  }

  async #messages(kind: string, input: number, random: Random): Promise<void> {
    const { messages, allowed } = makeMessages(kind, random);
    const isUnary = messages.length === 1 && random.chance(0.3);
    const answer = await hostileCall(this.#session(input), {
      path: isUnary ? paths.logOnce : paths.log,
      writes: messages.map((message) => framed(message)),
    });
    const outcomes = allowed.map((status) => `status ${status}`);
    this.#judge(kind, input, answer, outcomes, messages);
    if (answer.outcome === 'status 0') this.#accept(kind, messages, answer);
    // What came before the message that does not follow on is acknowledged by the number it is told.
    else if (answer.outcome === 'status 9') this.#acceptFirst(kind, input, messages, answer);
  }

  async #framing(kind: string, input: number, random: Random): Promise<void> {
    const { plan, allowed, messages, maybe } = makeFraming(kind, random);
    // Not on a connection that others need.
    const session = plan.end === 'cut' ? openSession(this.#port) : this.#session(input);
    const answer = await hostileCall(session, plan);
    this.#judge(kind, input, answer, allowed, plan.writes);
    if (messages !== undefined && answer.outcome === 'status 0') this.#accept(kind, messages, answer);
    if (maybe !== undefined) this.expected.add(kind, maybe, undefined);
  }

  #judge(
    kind: string,
    input: number,
    answer: Answer,
    allowed: readonly string[],
    sent: readonly Buffer[],
  ): void {
    if (allowed.includes(answer.outcome)) return;
    this.#violations.push(
      `${kind}, input ${input} of seed ${this.#seed}: ${answer.outcome} (${answer.details}) instead of ${allowed.join(' or ')}: ${sent.map(hex).join(' ')}`,
    );
  }

  #accept(kind: string, messages: readonly Buffer[], answer: Answer): void {
    this.accepted++;
    const { rejections } = decodeResponse(answer.body);
    this.expected.add(kind, messages, new Set((rejections ?? []).map(({ sequence }) => String(sequence))));
  }

  #acceptFirst(kind: string, input: number, messages: readonly Buffer[], answer: Answer): void {
    const [first] = messages;
    const wanted = kind === 'hole' ? '3' : '7';
    if (first === undefined || answer.expectedSequence !== wanted) {
      this.#violations.push(
        `${kind}, input ${input}: told to go on from ${answer.expectedSequence} instead of ${wanted}`,
      );
    } else this.expected.add(kind, [first], new Set());
  }
}

const usualKinds = [...messageKinds, ...framingKinds].filter(
  (kind) => !slowKinds.includes(kind) && !costlyKinds.includes(kind),
);

function kindOf(input: number): string {
  const rare = (kinds: readonly string[], every: number): string =>
    kinds[Math.floor(input / every) % kinds.length] as string;
  if (input % slowEvery === 0) return rare(slowKinds, slowEvery);
  if (input % costlyEvery === 0) return rare(costlyKinds, costlyEvery);
  return usualKinds[input % usualKinds.length] as string;
}

/**
 * Ownership against a model: real logs in memory, real claims, the real table, and an IPC channel whose
 * letters a seed delivers when it likes. Workers are killed and lose power, disks fail, producers call any
 * worker and resend what was not acknowledged, logs are drained into others.
 *
 * Holds at the end of each life: no number lies in two requests of all logs together, no number that was
 * acknowledged is missing, and no damage is seen where there is none. The seed is in every message.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { walLimits } from '../limits.js';
import { Claims } from '../ownership/claims.js';
import { OwnershipTable } from '../ownership/ownership-table.js';
import { MemoryStorage } from '../testing/memory-storage.js';
import { producerId } from '../testing/wire.js';
import { Uuid7Source } from '../uuid7.js';
import { judgeSequence } from '../validate/sequence-rules.js';
import { damageOf, heldBy } from '../wal/damage.js';
import { WriteAheadLog } from '../wal/log.js';
import { durableAfter } from '../wal/recovery.js';
import { segmentIdsOf } from '../wal/segment-name.js';
import { readSegment } from '../wal/segment-reader.js';

const quiet = { warn: () => undefined, info: () => undefined };
const producers = 4;
const forever = new Promise<void>(() => undefined);
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

class Worker {
  storage = new MemoryStorage();
  log!: WriteAheadLog;
  claims!: Claims;
  isAlive = false;
  sealed: string[] = [];
  /** Letters on their way, each as what its delivery does. */
  toPrimary: (() => void)[] = [];
  fromPrimary: (() => void)[] = [];

  isGone(log: WriteAheadLog): boolean {
    return this.log !== log || !this.isAlive;
  }
}

class World {
  readonly draw: (below: number) => number;
  readonly workers: Worker[];
  table!: OwnershipTable;
  /** By producer: the last number of which it knows that it is durable. */
  readonly acknowledged = new Map<number, number>();
  nowMs = 1.7e12;
  /** What the store has: by segment, so that one that is committed again counts once. */
  readonly committed = new Map<string, Reading>();
  /** The worker whose log is drained in this life, and whether all that it knows is durable elsewhere. */
  drained: Worker | undefined;
  isCarried = false;
  drains = 0;
  moves = 0;

  constructor(seed: number, workers: number) {
    let state = seed * 7919;
    this.draw = (below) => {
      state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
      return Math.floor((state / 0x80000000) * below);
    };
    this.workers = Array.from({ length: workers }, () => new Worker());
    this.newTable(workers);
  }

  newTable(workers: number): void {
    this.table = new OwnershipTable({
      workers,
      producers: 100,
      instruct: (instruction) => {
        const worker = this.workers[instruction.worker] as Worker;
        worker.fromPrimary.push(() => {
          const { claims } = worker;
          if (instruction.kind === 'grant') {
            if (instruction.sequence > 0) this.moves++;
            void claims.grant(instruction.key, instruction.sequence);
          } else if (instruction.kind === 'refuse') claims.refuse(instruction.key, instruction.reason);
          else if (instruction.kind === 'release') void claims.release(instruction.key);
        });
      },
    });
  }

  openLog(worker: Worker): WriteAheadLog {
    worker.sealed = [];
    const { sealed } = worker;
    const log = new WriteAheadLog({
      storage: worker.storage,
      limits: { ...walLimits, segmentAgeMs: 3_600_000, segmentEvents: 200 },
      now: () => this.nowMs,
      monotonic: () => this.nowMs,
      makeIds: (floor) => new Uuid7Source(() => this.nowMs, floor),
      onSealed: ({ id }) => sealed.push(id),
      log: quiet,
      timers: {
        after: (ms, callback) => {
          // Age seals nothing here, so that producers come back to a segment that they have left.
          if (ms > 1000) return () => undefined;
          const immediate = setImmediate(callback);
          return () => clearImmediate(immediate);
        },
        sleep: () => (worker.isGone(log) ? forever : turn()),
      },
    });
    worker.log = log;
    return log;
  }

  async start(index: number): Promise<void> {
    const worker = this.workers[index] as Worker;
    if (worker === this.drained) return;
    const letters: (() => void)[] = [];
    worker.toPrimary = letters;
    worker.fromPrimary = [];
    const log = this.openLog(worker);
    worker.isAlive = true;
    worker.claims = new Claims({
      log,
      primary: {
        claim: (key) => letters.push(() => this.table.claim(index, key)),
        released: (key, sequence) => letters.push(() => this.table.released(index, key, sequence)),
        forgotten: (key) => letters.push(() => this.table.forgotten(index, key)),
      },
      claimMs: 60_000,
    });
    await log.start();
    const known = log.knownProducers();
    const left = index === 0 ? (this.drained?.log.knownProducers() ?? []) : [];
    if (left.length > 0) {
      void log.carry(left).then(() => {
        if (worker.isGone(log)) return;
        this.isCarried = true;
      });
    }
    letters.push(() => {
      this.table.found(index, [...known, ...left]);
      this.table.read(index);
    });
  }

  /** The last worker is no more: its log is read, and worker 0 carries on what it knows. */
  async beginDrain(): Promise<void> {
    const worker = this.workers.at(-1) as Worker;
    this.drained = worker;
    this.isCarried = false;
    const log = this.openLog(worker);
    // It stands for a log in worker 0's process, whose own end it outlives here.
    worker.isAlive = true;
    await log.start();
    worker.isAlive = false;
  }

  /** Its segments are in the store, and nothing is left of it; or it stays as it is. */
  endDrain(): void {
    const worker = this.drained;
    this.drained = undefined;
    if (worker === undefined || !this.isCarried) return;
    for (const id of segmentIdsOf([...worker.storage.files.keys()])) this.commit(worker, id);
    worker.storage = new MemoryStorage();
    this.drains++;
  }

  commit({ storage }: Worker, id: string): void {
    const bytes = storage.files.get(`${id}.wal`)?.bytes;
    if (bytes !== undefined) this.committed.set(id, readSegment(bytes, id));
  }

  kill(index: number, isPowerLoss: boolean): void {
    const worker = this.workers[index] as Worker;
    if (!worker.isAlive) return;
    worker.isAlive = false;
    const { storage } = worker;
    worker.storage = isPowerLoss ? storage.crash() : storage.kill();
    // What the dead process still has under way changes nothing that anyone sees.
    storage.fail = () => new Error('the process is gone');
    worker.claims.stop();
    worker.toPrimary = [];
    worker.fromPrimary = [];
    this.table.ended(index);
  }

  async deliver(): Promise<void> {
    const worker = this.workers[this.draw(this.workers.length)] as Worker;
    (this.draw(2) === 0 ? worker.toPrimary : worker.fromPrimary).shift()?.();
    await turn();
  }

  /** A call of one request, as the intake takes it: resent, new, or from a client that knows little. */
  call(producer: number): void {
    const worker = this.workers[this.draw(this.workers.length)] as Worker;
    if (!worker.isAlive) return;
    const { log, claims } = worker;
    const key = producerId(producer).toString('latin1');
    if (!claims.owns(key)) {
      void claims.claim(key);
      return;
    }
    const acknowledged = this.acknowledged.get(producer) ?? 0;
    const first = acknowledged + 1 - (this.draw(4) === 0 ? Math.min(acknowledged, this.draw(5)) : 0);
    const last = first + this.draw(6);
    const verdict = judgeSequence(log.appendedOf(key), first, last);
    if (verdict.kind === 'refuse') return;
    const { generation } = log;
    if (verdict.kind === 'append' && log.admission(10, key).kind !== 'open') return;
    if (verdict.kind === 'append') {
      const head = {
        receivedUnixMs: this.nowMs,
        firstSequence: first,
        lastSequence: last,
        eventCount: last - first + 1,
        lossCount: 0,
        ledgerRows: 0,
        expansionBytes: 0,
        rejections: [],
      };
      const encoded = Buffer.concat([Buffer.from([0x0a, 16]), producerId(producer)]);
      log.append({ key, encoded }, head, Buffer.from(`${producer}`));
    }
    void log.synced().then((outcome) => {
      if (outcome === 'failed' || log.generation !== generation || worker.isGone(log)) return;
      this.acknowledged.set(producer, Math.max(this.acknowledged.get(producer) ?? 0, last));
    });
  }

  async step(): Promise<void> {
    this.nowMs += this.draw(50);
    const index = this.draw(this.workers.length);
    const worker = this.workers[index] as Worker;
    const choice = this.draw(1000);
    if (choice < 600) await this.deliver();
    else if (choice < 935) this.call(1 + this.draw(producers));
    else if (choice < 940 && worker.isAlive) {
      const id = worker.sealed.shift();
      if (id === undefined) return;
      this.commit(worker, id);
      await worker.log.release(id);
    } else if (choice < 945 && worker.isAlive) await worker.log.sealNow();
    else if (choice < 955) this.kill(index, this.draw(2) === 0);
    else if (choice < 965 && worker.isAlive) {
      let failures = 1 + this.draw(40);
      const operation = this.draw(2) === 0 ? 'sync' : 'write';
      worker.storage.fail = (done) => (done === operation && failures-- > 0 ? new Error('EIO') : undefined);
    } else if (!worker.isAlive) await this.start(index);
  }
}

type Reading = ReturnType<typeof readSegment>;

/** What the segment behind it says that it held. */
function heldOf(id: string, reading: Reading, younger: Parameters<typeof heldBy>[2]): string[] {
  const held = heldBy(id, reading, younger);
  if (held.kind !== 'known') return [held.kind];
  return [...held.numbers]
    .filter(([, { after, last }]) => last > after)
    .map(([key, { after, last }]) => `${key.charCodeAt(15)}:${after + 1}-${last}`)
    .sort();
}

function readOf({ requests, producers: named }: Reading): string[] {
  const ranges = new Map<string, { first: number; last: number }>();
  for (const { producerIndex, firstSequence: first, lastSequence: last } of requests) {
    const key = String(named[producerIndex]?.identity[15]);
    ranges.set(key, { first: ranges.get(key)?.first ?? first, last });
  }
  return [...ranges].map(([key, { first, last }]) => `${key}:${first}-${last}`).sort();
}

/** Every number in every log, and no damage where every file is whole. */
function check(world: World, seed: number): void {
  const stored = new Map<number, { first: number; last: number }[]>();
  const count = (reading: Reading): void => {
    for (const { producerIndex, firstSequence, lastSequence } of reading.requests) {
      const producer = reading.producers[producerIndex]?.identity[15] as number;
      const ranges = stored.get(producer) ?? [];
      ranges.push({ first: firstSequence, last: lastSequence });
      stored.set(producer, ranges);
    }
  };
  for (const reading of world.committed.values()) count(reading);
  /** The largest sequence of all logs, by producer. */
  const known = new Map<number, number>();
  for (const { storage } of world.workers) {
    const ids = segmentIdsOf([...storage.files.keys()]);
    const readings = ids.map((id) => ({
      id,
      reading: readSegment(storage.files.get(`${id}.wal`)?.bytes as Buffer, id),
    }));
    for (const [place, { id, reading }] of readings.entries()) {
      for (const { key, sequence } of durableAfter(reading.durable, id, reading).entries) {
        known.set(key.charCodeAt(15), Math.max(sequence, known.get(key.charCodeAt(15)) ?? 0));
      }
      if (!world.committed.has(id)) count(reading);
      const younger = readings
        .slice(place + 1)
        .map((other) => ({ id: other.id, durable: other.reading.durable }));
      const [, ...rest] = younger;
      const next = younger[0];
      if (next === undefined || reading.requests.length === 0) continue;
      assert.deepEqual(
        heldOf(id, reading, younger),
        readOf(reading),
        `seed ${seed}: what segment ${id} held`,
      );
      if (rest.length === 0) continue;
      // The same if the next one had lost its first frames.
      const behind = damageOf(id, reading, [{ id: next.id, durable: undefined }, ...rest]);
      assert.deepEqual(behind?.ranges, [], `seed ${seed}: damage seen across a jump`);
    }
  }
  for (const [producer, ranges] of stored) {
    ranges.sort((a, b) => a.first - b.first);
    let next = 1;
    for (const { first, last } of ranges) {
      assert.equal(first, next, `seed ${seed}: producer ${producer} has a hole or a double at ${next}`);
      next = last + 1;
    }
    const acknowledged = world.acknowledged.get(producer) ?? 0;
    assert.ok(
      (known.get(producer) ?? 0) >= acknowledged,
      `seed ${seed}: no log knows that ${producer} has come to ${acknowledged}`,
    );
    assert.ok(
      next - 1 >= acknowledged,
      `seed ${seed}: acknowledged of ${producer} up to ${acknowledged}, stored up to ${next - 1}`,
    );
  }
}

test('model: whatever dies and moves, each number is stored once and none that was acknowledged is missing', async () => {
  const given = process.env['SEED'];
  const seeds = given === undefined ? Array.from({ length: 60 }, (_, index) => index + 1) : [Number(given)];
  let moves = 0;
  let drains = 0;
  for (const seed of seeds) {
    const world = new World(seed, 2 + (seed % 2));
    for (let life = 0; life < 4; life++) {
      const isDraining = life > 0 && world.draw(2) === 0;
      world.newTable(world.workers.length - (isDraining ? 1 : 0));
      if (isDraining) await world.beginDrain();
      for (let index = 0; index < world.workers.length; index++) await world.start(index);
      const steps = world.draw(3) === 0 ? world.draw(60) : 400;
      for (let step = 0; step < steps; step++) await world.step();
      // All at once; another primary knows nothing.
      for (let index = 0; index < world.workers.length; index++) world.kill(index, world.draw(2) === 0);
      world.endDrain();
      check(world, seed);
    }
    moves += world.moves;
    drains += world.drains;
  }
  if (given !== undefined) return;
  assert.ok(moves > 1000 && drains > 10, `only ${moves} moves and ${drains} drains: the test did not test`);
});

/** What goes into quarantine while the store refuses: in inserts that are bounded, of a segment that stays as it is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LogRequest } from '@sluice/proto';
import { type PartSource, RefusedSegments, SegmentChanged } from './commit-refused.js';
import { SegmentEncoder } from './encode/encode-segment.js';
import { jsonEachRow } from './encode/ledger-rows.js';
import { quarantinePieces, quarantineRows } from './encode/quarantine-rows.js';
import { SegmentIndex } from './encode/segment-index.js';
import type { EventRange, SegmentContents } from './record.js';
import type { Batch, BatchInserter } from './store/batch-inserter.js';
import { RangeSet } from './store/bisection.js';
import { BisectionAllowance } from './store/bisection-allowance.js';
import { makeSegment } from './testing/segments.js';
import { producerId } from './testing/wire.js';

const id = '019343f2-5d00-7000-8000-000000000001';
const refusal = { code: 469, message: 'no' };

/** Counts how often a segment is walked. */
class CountingIndex extends SegmentIndex {
  scans = 0;
  override scan(segment: SegmentContents, part?: EventRange): void {
    this.scans++;
    super.scan(segment, part);
  }
}

/** Requests of one event each. */
function singles(count: number, labels: Record<string, string> = {}): LogRequest[] {
  return Array.from({ length: count }, (_, index) => ({
    producer: { id: producerId(1), project: 'p', run_id: 'r', labels },
    first_sequence: String(index + 1),
    events: [{ step: String(index + 1) }],
  }));
}

/** A store that takes the ledger and refuses every event; remembers what it was sent. */
function rig(source: PartSource, inserts: number, message: string) {
  const sent: { table: string; rows: number; bytes: number; batchId: string }[] = [];
  const known = { quarantine: new Set<string>(), losses: new Set<string>() };
  const inserter = {
    insert: async ({ table, rows, body, batchId }: Batch) => {
      const bytes = body.reduce((sum, chunk) => sum + chunk.length, 0);
      sent.push({ table, rows, bytes, batchId });
      if (table === 'events') return { kind: 'refused', code: 469, message };
      for (const line of Buffer.concat([...body])
        .toString()
        .trim()
        .split('\n'))
        known[table as keyof typeof known].add(JSON.parse(line).batch_id);
      return { kind: 'stored', tries: 1, foundCommitted: false };
    },
    ask: async () => [
      ...[...known.quarantine].map((batch) => ['quarantine', batch, 469, message]),
      ...[...known.losses].map((batch) => ['losses', batch, 0, '']),
    ],
  } as unknown as BatchInserter;
  const index = new CountingIndex();
  const segments = new RefusedSegments({
    source,
    encoder: new SegmentEncoder(index),
    index,
    inserter,
    log: { warn: () => {}, info: () => {} },
    allowance: new BisectionAllowance(inserts),
    toBatch: (_, part, block) =>
      ({ table: 'events', batchId: part.batchId, rows: block.rows, body: block.chunks }) as unknown as Batch,
  });
  const commit = (to: number) =>
    segments.commit(
      { id, bytes: 0, recovered: false },
      { within: { from: 0, to }, covered: new RangeSet(), refusal: { code: 469, message } },
    );
  return { sent, known, index, commit };
}

const still = (segment: SegmentContents): PartSource => ({
  read: async (_, work) => work(segment, undefined),
});

test('an insert of quarantine or losses is bounded in bytes, with errors and producers, and in rows', async () => {
  const segment = makeSegment(id, singles(10_000, { note: 'x'.repeat(900) }));
  const { sent, known, commit } = rig(still(segment), 10, `é${'"'.repeat(1500)}`);
  const outcome = await commit(10_000);
  assert.deepEqual([outcome.kind, outcome.kind === 'kept' && outcome.quarantined], ['kept', 10_000]);
  const ledger = sent.filter(({ table }) => table !== 'events');
  const most = Math.max(...ledger.map(({ bytes }) => bytes));
  assert.ok(most <= 6 * 1024 * 1024, `${most} bytes in one insert`);
  assert.ok(Math.max(...ledger.map(({ rows }) => rows)) <= 10_000);
  assert.ok(most > 4 * 1024 * 1024, 'inserts are not cut smaller than they must be');
  assert.equal(known.quarantine.size, 10_000);
  assert.deepEqual(known.losses, known.quarantine);
});

test('a segment of small requests that are all refused is walked a few times, not once for each', async () => {
  const requests = 20_000;
  const segment = makeSegment(id, singles(requests));
  const { sent, known, index, commit } = rig(still(segment), 10, 'no');
  await commit(requests);
  assert.ok(index.scans < 50, `${index.scans} walks`);
  assert.equal(known.losses.size, requests);
  assert.ok(Math.max(...sent.filter(({ table }) => table !== 'events').map(({ rows }) => rows)) <= 10_000);
});

test('what a piece says of its bytes bounds its row, closely', () => {
  const requests = singles(40, { '\u0001"': 'é'.repeat(300) });
  requests.push({
    producer: { id: producerId(2), project: '\u0002'.repeat(200), run_id: '"'.repeat(300) },
    first_sequence: '1',
    events: Array.from({ length: 300 }, () => ({ body: 'b'.repeat(100) })),
  });
  const segment = makeSegment(id, requests);
  const index = new SegmentIndex();
  const pieces = quarantinePieces(segment, index, [
    { from: 3, to: 9, refusal: { code: 1, message: '\n"é'.repeat(1000) } },
    { from: 20, to: 330, refusal },
  ]);
  const rows = quarantineRows(segment, index, pieces);
  for (const [place, row] of rows.entries()) {
    const bytes = jsonEachRow([row])[0]?.length ?? 0;
    const told = pieces[place]?.bytes ?? 0;
    assert.ok(bytes <= told && told < bytes * 1.1 + 512, `${told} for ${bytes}`);
  }
});

test('a segment that reads otherwise in the middle of its bisection ends the try with a system error', async () => {
  const whole = makeSegment(id, singles(64));
  const rotten = makeSegment(id, singles(64).toSpliced(10, 1));
  for (let sound = 0; sound < 8; sound++) {
    let reads = 0;
    const source: PartSource = {
      read: async (_, work) =>
        ++reads > sound ? work(rotten, { problem: 'a frame is broken', ranges: [] }) : work(whole, undefined),
    };
    const { commit, sent } = rig(source, 20, 'no');
    await assert.rejects(commit(64), (error) => {
      assert.ok(error instanceof SegmentChanged && 'syscall' in error);
      assert.match(error.message, /had 64 events and now has 63: a frame is broken/);
      return true;
    });
    if (sound === 0) assert.deepEqual(sent, []);
  }
});

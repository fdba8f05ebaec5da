import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CollectorModel } from '../test-support/collector-model.js';
import { failure, MemoryDisk } from '../test-support/memory-disk.js';
import { type SpoolLogger, spoolLogger } from '../test-support/spool-logger.js';

const kib = 1024;
/** A kilobyte that no other event has, so that it takes its room in every encoding. */
const textOf = (step: number) => `${step} `.padEnd(1000, 'x');

/** The order in which events arrived; a fate that is a loss is its reason. */
function arrived({ model }: { model: CollectorModel }, id: string): (string | undefined)[] {
  const fates = model.producers.get(id)?.fates ?? new Map();
  return [...fates]
    .sort(([a], [b]) => a - b)
    .map(([, fate]) => ('event' in fate ? fate.event.step : fate.loss));
}

function steps(from: number, to: number): string[] {
  return Array.from({ length: to - from + 1 }, (_, index) => String(from + index));
}

function logSteps(logger: SpoolLogger['logger'], from: number, to: number): void {
  for (let step = from; step <= to; step++) logger.event('e', { text: textOf(step) }, { step });
}

/** A life that is killed after it spooled `count` events in requests of about eight. */
async function killed(disk: MemoryDisk, count: number): Promise<string> {
  const job = spoolLogger({ disk, options: { requestBytes: 8 * kib }, faults: { breaksBefore: () => true } });
  logSteps(job.logger, 1, count);
  await job.run(500);
  assert.equal(job.logger.stats().spooledEvents, count);
  disk.kill(() => 0);
  return job.id;
}

/** The next life: takes over for a while. */
async function next(disk: MemoryDisk, model: CollectorModel, forMs = 20_000): Promise<SpoolLogger> {
  const job = spoolLogger({ disk, model, startMs: 1_700_000_100_000, takesOver: true });
  await job.run(forMs);
  return job;
}

test('with a collector that answers, the spool is empty whenever nothing is under way', async () => {
  const job = spoolLogger({ options: { callAgeMs: 1000 } });
  for (let second = 0; second < 5; second++) {
    logSteps(job.logger, second * 10 + 1, second * 10 + 10);
    await job.run(500);
    assert.equal(job.logger.stats().spooledEvents, 10, 'what is not acknowledged is in the file');
    await job.run(2000);
    assert.equal(job.logger.stats().spooledBytes, 0);
    assert.deepEqual([...job.disk.files.keys()], []);
  }
  const closed = await job.within(job.logger.close(), 5000);
  assert.deepEqual(closed, { acknowledged: true, pending: 0, spooled: 0 });
  assert.deepEqual([...job.disk.folders], ['/spool']);
  assert.equal(job.clock.timers, 0);
});

test('an outage larger than the buffer drops nothing, and everything arrives in order', async () => {
  let isDown = true;
  const job = spoolLogger({ options: { bufferBytes: 64 * kib }, faults: { breaksBefore: () => isDown } });
  for (let step = 1; step <= 3000; step += 10) {
    logSteps(job.logger, step, step + 9);
    await job.run(100);
    assert.ok(job.logger.stats().bufferedBytes <= 64 * kib);
  }
  await job.run(500);
  const { dropped, spooledEvents, bufferedBytes } = job.logger.stats();
  assert.deepEqual([dropped.buffer_full, spooledEvents], [0, 3000]);
  assert.ok(bufferedBytes <= 40 * kib, `${bufferedBytes} bytes are in memory though all is on the disk`);
  isDown = false;
  assert.equal((await job.within(job.logger.flush({ timeoutMs: 600_000 }), 600_000)).acknowledged, true);
  assert.deepEqual(arrived(job, job.id), steps(1, 3000));
  assert.equal(job.logger.stats().acknowledged, 3000);
  await job.run(1000);
  assert.deepEqual([...job.disk.files.keys()], []);
});

test('a spool at its limit goes on in memory, and then drops, counts and reports', async () => {
  let isDown = true;
  const options = { bufferBytes: 64 * kib, spoolBytes: 1024 * kib };
  const job = spoolLogger({ options, faults: { breaksBefore: () => isDown } });
  for (let step = 1; step <= 3000; step += 10) {
    logSteps(job.logger, step, step + 9);
    await job.run(100);
  }
  const stats = job.logger.stats();
  assert.ok(stats.spooledBytes <= 1024 * kib && stats.spooledBytes > 900 * kib, `${stats.spooledBytes}`);
  assert.ok(stats.dropped.buffer_full > 1800);
  assert.ok(stats.bufferedEvents > stats.spooledEvents, 'memory is used as well');
  isDown = false;
  assert.equal((await job.within(job.logger.flush({ timeoutMs: 600_000 }), 600_000)).acknowledged, true);
  const fates = arrived(job, job.id);
  assert.equal(fates.length, 3000);
  assert.equal(
    fates.filter((fate) => fate === 'LOSS_REASON_BUFFER_FULL').length,
    job.logger.stats().dropped.buffer_full,
  );
  assert.ok(job.diagnostics.some((line) => line.startsWith('buffer_full')));
});

test('what a full spool cannot hold at the close is recorded in it as lost', async () => {
  const disk = new MemoryDisk();
  const options = { bufferBytes: 128 * kib, spoolBytes: 1024 * kib };
  const job = spoolLogger({ disk, options, faults: { breaksBefore: () => true } });
  for (let step = 1; step <= 1100; step += 10) {
    logSteps(job.logger, step, step + 9);
    await job.run(100);
  }
  const closed = await job.within(job.logger.close({ timeoutMs: 100 }), 20_000);
  const { dropped, spooledEvents, bufferedEvents } = job.logger.stats();
  assert.ok(dropped.closed > 0);
  assert.equal(bufferedEvents, spooledEvents);
  assert.equal(closed.spooled, spooledEvents);
  assert.ok(job.diagnostics.some((line) => line.startsWith(`undelivered: ${dropped.closed} events`)));
  const model = new CollectorModel();
  await next(disk, model);
  const fates = arrived({ model }, job.id);
  assert.equal(fates.length, 1100);
  assert.equal(fates.filter((fate) => fate === 'LOSS_REASON_CLOSED').length, dropped.closed);
  assert.equal(fates.filter((fate) => fate === 'LOSS_REASON_BUFFER_FULL').length, dropped.buffer_full);
});

test('offline, nothing is sent, flush resolves when all is in the file, and nothing stays in memory', async () => {
  const disk = new MemoryDisk();
  let syncs = 0;
  disk.fault = (operation) => {
    if (operation === 'sync') syncs++;
    return undefined;
  };
  const job = spoolLogger({ disk, options: { mode: 'offline' } });
  logSteps(job.logger, 1, 500);
  const flushed = await job.within(job.logger.flush(), 5000);
  assert.deepEqual(flushed, { acknowledged: false, pending: 500, spooled: 500 });
  assert.ok(syncs > 0, 'and survives a power loss');
  assert.equal(job.logger.stats().bufferedBytes, 0);
  logSteps(job.logger, 501, 600);
  const closed = await job.within(job.logger.close(), 5000);
  assert.deepEqual(closed, { acknowledged: false, pending: 600, spooled: 600 });
  assert.equal(job.model.calls, 0);
  assert.match(job.diagnostics.join(), /^spooled: 600 events of run run .* npx sluice sync \/spool$/);
  const model = new CollectorModel();
  await next(disk, model);
  assert.deepEqual(arrived({ model }, job.id), steps(1, 600));
});

test('a directory that cannot be written is reported once, and logging goes on without it', async () => {
  const disk = new MemoryDisk();
  disk.fault = () => failure('EACCES', '/spool');
  const job = spoolLogger({ disk, takesOver: true });
  for (let step = 1; step <= 500; step++) {
    logSteps(job.logger, step, step);
    await job.run(100);
  }
  assert.equal((await job.within(job.logger.close(), 10_000)).acknowledged, true);
  assert.deepEqual(arrived(job, job.id), steps(1, 500));
  assert.equal(job.diagnostics.length, 1, job.diagnostics.join('\n'));
  assert.match(
    job.diagnostics[0]!,
    /^spool: the spool directory \/spool \(spoolDir\) cannot be (written|read): EACCES/,
  );
});

test('a disk that is full for a while costs nothing but memory', async () => {
  const disk = new MemoryDisk();
  let isFull = false;
  disk.fault = (operation) => (isFull && operation === 'write' ? failure('ENOSPC', 'disk') : undefined);
  const job = spoolLogger({ disk, faults: { breaksBefore: () => true } });
  logSteps(job.logger, 1, 100);
  await job.run(500);
  isFull = true;
  logSteps(job.logger, 101, 200);
  await job.run(5000);
  assert.deepEqual([job.logger.stats().spooledEvents, job.logger.stats().bufferedEvents], [100, 200]);
  isFull = false;
  await job.run(15_000);
  assert.equal(job.logger.stats().spooledEvents, 200);
  disk.kill(() => 0);
  const model = new CollectorModel();
  await next(disk, model);
  assert.deepEqual(arrived({ model }, job.id), steps(1, 200));
});

test('a disk that hangs keeps neither flush() nor close() from resolving', async () => {
  const disk = new MemoryDisk();
  const job = spoolLogger({ disk, faults: { breaksBefore: () => true } });
  // Another process is the current one now, and every operation of this one waits for ever.
  disk.open();
  logSteps(job.logger, 1, 10);
  const flushed = await job.within(job.logger.flush({ timeoutMs: 500 }), 1000);
  assert.deepEqual(flushed, { acknowledged: false, pending: 10, spooled: 0 });
  const closed = await job.within(job.logger.close({ timeoutMs: 100 }), 60_000);
  assert.deepEqual(closed, { acknowledged: false, pending: 10, spooled: 0 });
  assert.equal(job.logger.stats().dropped.closed, 10);
});

test('what was acknowledged before a kill is not sent again, even if it shares a file with what was not', async () => {
  const disk = new MemoryDisk();
  const model = new CollectorModel();
  let isDown = false;
  const job = spoolLogger({ disk, model, faults: { breaksBefore: () => isDown, delayMs: () => 600 } });
  logSteps(job.logger, 1, 10);
  await job.run(1300);
  // The call has ended and waits for its answer; these come into the file before that, and into no call.
  logSteps(job.logger, 11, 15);
  isDown = true;
  await job.run(3000);
  const { acknowledged, spooledEvents } = job.logger.stats();
  assert.ok(acknowledged > 0 && spooledEvents > 0, `${acknowledged} acknowledged, ${spooledEvents} spooled`);
  disk.kill(() => 0);
  // A collector that has forgotten the producer would store a second time what is sent a second time.
  const forgetful = new CollectorModel();
  await next(disk, forgetful);
  assert.deepEqual(arrived({ model: forgetful }, job.id), steps(acknowledged + 1, 15));
});

test('a kill between acknowledgment and removal leads to duplicates, and nothing is doubled', async () => {
  const disk = new MemoryDisk();
  const id = await killed(disk, 50);
  const model = new CollectorModel();
  const before = new Map(disk.files);
  const second = await next(disk, model);
  assert.deepEqual(arrived({ model }, id), steps(1, 50));
  disk.kill(() => 0);
  disk.folders.add(`/spool/${[...before.keys()][0]!.split('/')[2]}`);
  for (const [path, bytes] of before) disk.files.set(path, bytes);
  const messages = model.messages;
  await next(disk, model);
  assert.ok(model.messages > messages, 'it was sent again');
  assert.deepEqual(arrived({ model }, id), steps(1, 50));
  assert.deepEqual([...disk.files.keys()], []);
  void second;
});

test('a collector that has a part of an orphan already gets the rest only', async () => {
  const disk = new MemoryDisk();
  const id = await killed(disk, 50);
  const model = new CollectorModel();
  const whole = new CollectorModel();
  const copy = new Map(disk.files);
  const folders = [...disk.folders];
  await next(disk, whole);
  for (const folder of folders) disk.folders.add(folder);
  for (const [path, bytes] of copy) disk.files.set(path, bytes);
  disk.kill(() => 0);
  // As if the killed job had delivered these itself.
  const producer = model.producer(id);
  const requestEnd = 24;
  for (let sequence = 1; sequence <= requestEnd; sequence++)
    producer.fates.set(sequence, whole.producer(id).fates.get(sequence)!);
  producer.durable = requestEnd;
  await next(disk, model);
  const fates = arrived({ model }, id);
  assert.equal(fates.length, 50);
  assert.deepEqual(
    fates.filter((fate) => !fate?.startsWith('LOSS')),
    fates.filter((_, index) => !fates[index]?.startsWith('LOSS')),
  );
});

test('a process that exits in the middle of any operation of the disk leaves everything in the spool', async () => {
  for (let turns = 0; turns < 12; turns++) {
    const disk = new MemoryDisk();
    const job = spoolLogger({
      disk,
      options: { requestBytes: 8 * kib },
      faults: { breaksBefore: () => true },
    });
    logSteps(job.logger, 1, 20);
    await job.clock.advance(100);
    for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
    logSteps(job.logger, 21, 30);
    job.logger.abandon();
    const { logged, spooledEvents, bufferedEvents } = job.logger.stats();
    assert.deepEqual([logged, bufferedEvents, spooledEvents], [30, 30, 30], `${turns} turns`);
    disk.kill(() => 0);
    const model = new CollectorModel();
    await next(disk, model, 5000);
    assert.deepEqual(arrived({ model }, job.id), steps(1, 30), `${turns} turns`);
  }
});

test('a damaged frame costs its own events, which are recorded as lost, and the file is kept aside', async () => {
  const disk = new MemoryDisk();
  const id = await killed(disk, 100);
  const [[path, bytes]] = [...disk.files] as [[string, Buffer]];
  const damaged = Buffer.from(bytes);
  damaged[Math.floor(damaged.length / 2)]! ^= 0x55;
  disk.files.set(path, damaged);
  const model = new CollectorModel();
  const job = await next(disk, model);
  const fates = arrived({ model }, id);
  assert.equal(fates.length, 100);
  const lost = fates.flatMap((fate, index) => (fate === 'LOSS_REASON_SPOOL_DAMAGED' ? [index + 1] : []));
  assert.ok(lost.length > 0 && lost.length < 12, `${lost.length} lost`);
  assert.deepEqual(
    fates.filter((fate) => fate !== 'LOSS_REASON_SPOOL_DAMAGED'),
    steps(1, 100).filter((step) => !lost.includes(Number(step))),
  );
  assert.deepEqual(
    [...disk.files.keys()],
    [`${path.slice(0, path.lastIndexOf('/'))}.damaged/00000001.spool.damaged`],
  );
  assert.ok(
    job.diagnostics.some((line) =>
      /^spool: .*00000001\.spool: \d+ bytes at offset \d+ are damaged/.test(line),
    ),
  );
  const { calls } = model;
  await job.run(200_000);
  assert.equal(model.calls, calls, 'and is not tried again');
});

test('a missing segment between two is recorded as lost', async () => {
  const disk = new MemoryDisk();
  const job = spoolLogger({
    disk,
    options: { bufferBytes: 64 * kib, requestBytes: 8 * kib },
    faults: { breaksBefore: () => true },
  });
  for (let step = 1; step <= 900; step += 10) {
    logSteps(job.logger, step, step + 9);
    await job.run(100);
  }
  await job.run(500);
  disk.kill(() => 0);
  const paths = [...disk.files.keys()].sort();
  assert.ok(paths.length >= 3, `${paths.length} segments`);
  disk.files.delete(paths[1]!);
  const model = new CollectorModel();
  await next(disk, model, 60_000);
  const fates = arrived({ model }, job.id);
  assert.equal(fates.length, 900);
  const lost = fates.filter((fate) => fate === 'LOSS_REASON_SPOOL_DAMAGED').length;
  assert.ok(lost > 200 && lost < 300, `${lost} lost`);
  assert.deepEqual([...disk.files.keys()], []);
});

test('wherever the last write was cut, what was written before arrives', async () => {
  const disk = new MemoryDisk();
  const id = await killed(disk, 16);
  const [[path, bytes]] = [...disk.files] as [[string, Buffer]];
  const folder = path.slice(0, path.lastIndexOf('/'));
  for (let size = 0; size < bytes.length; size += 997) {
    disk.files.set(path, bytes.subarray(0, size));
    disk.folders.add(folder);
    disk.kill(() => 0);
    const model = new CollectorModel();
    await next(disk, model, 5000);
    const fates = arrived({ model }, id);
    assert.deepEqual(fates, steps(1, fates.length));
    assert.deepEqual([...disk.files.keys()], [], `cut at ${size}`);
  }
});

test('a damaged frame of one’s own that has to be read back is counted and recorded as lost', async () => {
  let isDown = true;
  const disk = new MemoryDisk();
  const job = spoolLogger({
    disk,
    options: { bufferBytes: 64 * kib, requestBytes: 8 * kib },
    faults: { breaksBefore: () => isDown },
  });
  for (let step = 1; step <= 600; step += 10) {
    logSteps(job.logger, step, step + 9);
    await job.run(100);
  }
  await job.run(500);
  const [, second] = [...disk.files.keys()].sort();
  const bytes = Buffer.from(disk.files.get(second!)!);
  bytes[bytes.length >> 1]! ^= 0x10;
  disk.files.set(second!, bytes);
  isDown = false;
  assert.equal((await job.within(job.logger.flush({ timeoutMs: 600_000 }), 600_000)).acknowledged, true);
  const { dropped, acknowledged, logged } = job.logger.stats();
  assert.ok(dropped.spool_damaged > 0 && dropped.spool_damaged < 12);
  assert.equal(logged, acknowledged + dropped.spool_damaged);
  const lost = arrived(job, job.id).filter((fate) => fate === 'LOSS_REASON_SPOOL_DAMAGED');
  assert.equal(lost.length, dropped.spool_damaged);
});

test('the file of a logger that lives is not taken, and is when it has closed', async () => {
  const disk = new MemoryDisk();
  const model = new CollectorModel();
  const first = spoolLogger({ disk, faults: { breaksBefore: () => true } });
  logSteps(first.logger, 1, 10);
  await first.run(500);
  const files = disk.open();
  void files;
  const [folder] = [...disk.folders].filter((path) => path.includes('@'));
  const second = spoolLogger({ disk, model, startMs: 1_700_000_100_000, takesOver: true });
  await second.run(70_000);
  assert.equal(model.messages, 0);
  disk.rename(folder!, folder!.slice(0, folder!.indexOf('@')));
  await second.run(100_000);
  assert.deepEqual(arrived({ model }, first.id), steps(1, 10));
});

/** A job whose collector is away and whose disk failed when it was written to, so that its spool waits to try again. */
async function waitingForDisk(fault: MemoryDisk['fault']): Promise<SpoolLogger> {
  const disk = new MemoryDisk();
  const job = spoolLogger({ disk, options: { requestBytes: 8 * kib }, faults: { breaksBefore: () => true } });
  disk.fault = fault;
  logSteps(job.logger, 1, 100);
  await job.run(500);
  assert.equal(job.logger.stats().spooledEvents, 0);
  return job;
}

test('close() tries a disk that failed before at once', async () => {
  const job = await waitingForDisk((operation) =>
    operation === 'write' ? failure('ENOSPC', 'disk') : undefined,
  );
  job.disk.fault = undefined;
  const startMs = job.clock.nowMs;
  const closed = await job.within(job.logger.close({ timeoutMs: 100 }), 20_000);
  assert.deepEqual(closed, { acknowledged: false, pending: 100, spooled: 100 });
  assert.ok(job.clock.nowMs - startMs <= 500, `it took ${job.clock.nowMs - startMs} ms`);
  assert.equal(job.logger.stats().dropped.closed, 0);
  assert.equal(job.clock.timers, 0);
  const model = new CollectorModel();
  await next(job.disk, model);
  assert.deepEqual(arrived({ model }, job.id), steps(1, 100));
});

test('close() tries a disk that fails again and again, for as long as it has time', async () => {
  let endMs = Number.POSITIVE_INFINITY;
  const job = await waitingForDisk((operation) =>
    operation === 'makeFolder' && job.clock.nowMs < endMs ? failure('EACCES', 'disk') : undefined,
  );
  endMs = job.clock.nowMs + 3500;
  const closed = await job.within(job.logger.close({ timeoutMs: 100 }), 20_000);
  assert.deepEqual(closed, { acknowledged: false, pending: 100, spooled: 100 });
  assert.ok(job.clock.nowMs - endMs <= 500, `it took ${job.clock.nowMs - endMs} ms more`);
  const model = new CollectorModel();
  await next(job.disk, model);
  assert.deepEqual(arrived({ model }, job.id), steps(1, 100));
});

test('a disk with little room left at the close holds at least what is lost', async () => {
  const job = await waitingForDisk((operation, _path, bytes) =>
    operation === 'write' && bytes > 4 * kib ? failure('ENOSPC', 'disk') : undefined,
  );
  await job.within(job.logger.close({ timeoutMs: 100 }), 20_000);
  const { dropped, spooledEvents, bufferedEvents } = job.logger.stats();
  assert.deepEqual([dropped.closed, spooledEvents, bufferedEvents], [100, 0, 0]);
  const model = new CollectorModel();
  await next(job.disk, model);
  assert.deepEqual(arrived({ model }, job.id), Array(100).fill('LOSS_REASON_CLOSED'));
});

test('a disk that fails until the end of close() leaves a diagnostic and counters', async () => {
  let tries = 0;
  const job = await waitingForDisk((operation) => {
    if (operation !== 'write') return undefined;
    tries++;
    return failure('EIO', 'disk');
  });
  const startMs = job.clock.nowMs;
  const closed = await job.within(job.logger.close({ timeoutMs: 100 }), 20_000);
  assert.deepEqual(closed, { acknowledged: false, pending: 100, spooled: 0 });
  assert.ok(job.clock.nowMs - startMs <= 5500, `it took ${job.clock.nowMs - startMs} ms`);
  assert.ok(tries > 5 && tries < 100, `${tries} tries`);
  const { dropped, bufferedEvents } = job.logger.stats();
  assert.deepEqual([dropped.closed, bufferedEvents], [100, 0]);
  assert.ok(job.diagnostics.some((line) => line.startsWith('undelivered: 100 events')));
  assert.equal(job.clock.timers, 0);
  job.disk.fault = undefined;
  const model = new CollectorModel();
  await next(job.disk, model);
  assert.deepEqual(arrived({ model }, job.id), []);
});

for (const failing of ['create', 'write'] as const) {
  test(`after a ${failing} that failed the first file is number 1, and damage in its front a loss from 1 on`, async () => {
    const job = await waitingForDisk((operation) =>
      operation === failing ? failure('ENOSPC', 'disk') : undefined,
    );
    await job.run(15_000);
    job.disk.fault = undefined;
    await job.run(15_000);
    assert.equal(job.logger.stats().spooledEvents, 100);
    const [[path, bytes], ...others] = [...job.disk.files] as [[string, Buffer]];
    assert.match(path, /\/00000001\.spool$/);
    assert.equal(others.length, 0);
    // In the middle of the first request.
    const damaged = Buffer.from(bytes);
    damaged[4 * kib]! ^= 0x55;
    job.disk.files.set(path, damaged);
    job.disk.kill(() => 0);
    const model = new CollectorModel();
    await next(job.disk, model);
    const fates = arrived({ model }, job.id);
    const lost = fates.filter((fate) => fate === 'LOSS_REASON_SPOOL_DAMAGED').length;
    assert.ok(lost > 0 && lost < 12, `${lost} lost`);
    assert.deepEqual(fates, [...Array(lost).fill('LOSS_REASON_SPOOL_DAMAGED'), ...steps(lost + 1, 100)]);
  });
}

test('a file that is there already is passed over by the next number', async () => {
  const job = await waitingForDisk((operation, path) =>
    operation === 'create' && path.endsWith('/00000001.spool') ? failure('EEXIST', path) : undefined,
  );
  await job.run(15_000);
  assert.equal(job.logger.stats().spooledEvents, 100);
  assert.match([...job.disk.files.keys()].join(), /\/00000002\.spool$/);
});

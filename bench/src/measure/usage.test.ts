import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cpuUsOfStat, ownUsage, rssPeakBytesOfStatus, shareThreads } from './usage.js';

test('user and system ticks are read behind a name with blanks and brackets', () => {
  const stat = '4711 (node (a) b) S 1 4711 4711 0 -1 4194304 1 2 3 4 250 50 7 8 20 0 11 0 12345 1 2';
  assert.equal(cpuUsOfStat(stat), 3_000_000);
});

test('a line that is something else is an error', () => {
  assert.throws(() => cpuUsOfStat('4711 (node) S 1'), /not a line/);
});

test('the memory peak is read in bytes, and is absent where the kernel does not say', () => {
  assert.equal(rssPeakBytesOfStatus('Name:\tnode\nVmHWM:\t  2048 kB\nVmRSS:\t 1000 kB\n'), 2_097_152);
  assert.equal(rssPeakBytesOfStatus('Name:\tnode\n'), undefined);
});

test('the CPU of a process is shared among its main thread, the busiest other one, and the rest', () => {
  const usage = (cpuUs: number, threads: [number, number][]) => ({
    pid: 10,
    rssPeakBytes: 0,
    cpuUs,
    threads: threads.map(([id, us]) => ({ id, cpuUs: us })),
  });
  const before = usage(1000, [
    [10, 500],
    [11, 400],
    [12, 100],
  ]);
  const after = usage(5000, [
    [10, 1500],
    [11, 2400],
    [12, 200],
    [13, 300],
  ]);
  assert.deepEqual(shareThreads(before, after), { mainUs: 1000, busiestUs: 2000, restUs: 1000 });
});

test('nothing is said about threads where the system does not list them', () => {
  const usage = { pid: 10, rssPeakBytes: 0, cpuUs: 1, threads: [] };
  assert.equal(shareThreads(usage, usage), undefined);
});

test('the own usage grows with work', () => {
  const before = ownUsage();
  // Of the processor's time, as others may have it now.
  const began = process.cpuUsage();
  while (process.cpuUsage(began).user < 10_000);
  const after = ownUsage();
  assert.ok(after.cpuUs - before.cpuUs > 5000);
  assert.ok(after.rssPeakBytes > 10 * 1024 * 1024);
});

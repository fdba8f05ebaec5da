import assert from 'node:assert/strict';
import { test } from 'node:test';
import { innerLimits } from '../limits.js';
import { type ReadableConnections, Valve } from './valve.js';

const { valveReadsAfterMs } = innerLimits.receive;
let nowMs = 0;

function openValve() {
  const done: string[] = [];
  const connections: ReadableConnections = {
    stopReading: () => done.push('stop'),
    startReading: () => done.push('start'),
    readNext: () => done.push('next'),
  };
  return { done, valve: new Valve({ waitingBytes: 1000 }, connections, () => nowMs) };
}

test('reading stops above the limit, and starts when half of what waited has gone', () => {
  const { done, valve } = openValve();
  valve.account(1000);
  assert.deepEqual(done, []);
  valve.account(1);
  valve.account(5000);
  assert.deepEqual(done, ['stop']);
  valve.account(-5500);
  assert.deepEqual(done, ['stop']);
  valve.account(-1);
  assert.deepEqual([done, valve.isClosed], [['stop', 'start'], false]);
});

test('connections are read in turn only when reading has been stopped for long', () => {
  const { done, valve } = openValve();
  const sweepAfter = (ms: number): void => {
    nowMs += ms;
    valve.sweep();
  };
  sweepAfter(60_000);
  for (let time = 0; time < 2; time++) {
    valve.account(1001);
    sweepAfter(valveReadsAfterMs);
    valve.account(-1001);
  }
  assert.deepEqual(done, ['stop', 'start', 'stop', 'start']);
  valve.account(1001);
  sweepAfter(valveReadsAfterMs);
  sweepAfter(1);
  sweepAfter(1);
  valve.account(-1001);
  sweepAfter(60_000);
  assert.deepEqual(done.slice(4), ['stop', 'next', 'next', 'start']);
});

test('it tells how long it was closed, each time once', () => {
  const { valve } = openValve();
  valve.sweep();
  nowMs += 10;
  valve.account(1001);
  nowMs += 20;
  valve.account(-1001);
  nowMs += 30;
  valve.account(1001);
  nowMs += 40;
  assert.equal(valve.sweep(), 60);
  nowMs += 50;
  valve.account(-1001);
  nowMs += 60;
  assert.equal(valve.sweep(), 50);
  assert.equal(valve.sweep(), 0);
});

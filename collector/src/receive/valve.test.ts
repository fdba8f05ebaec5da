import assert from 'node:assert/strict';
import { test } from 'node:test';
import { innerLimits } from '../limits.js';
import { type ReadableConnections, Valve } from './valve.js';

const { sweepMs, valveReadsAfterMs } = innerLimits.receive;

function openValve() {
  const done: string[] = [];
  const connections: ReadableConnections = {
    stopReading: () => done.push('stop'),
    startReading: () => done.push('start'),
    readNext: () => done.push('next'),
  };
  return { done, valve: new Valve({ waitingBytes: 1000 }, connections) };
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
  const sweep = (count: number): void => {
    for (let sweeps = 0; sweeps < count; sweeps++) valve.sweep();
  };
  sweep(100);
  for (let time = 0; time < 2; time++) {
    valve.account(1001);
    sweep(valveReadsAfterMs / sweepMs);
    valve.account(-1001);
  }
  assert.deepEqual(done, ['stop', 'start', 'stop', 'start']);
  valve.account(1001);
  sweep(valveReadsAfterMs / sweepMs + 2);
  valve.account(-1001);
  sweep(100);
  assert.deepEqual(done.slice(4), ['stop', 'next', 'next', 'start']);
});

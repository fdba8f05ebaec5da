import assert from 'node:assert/strict';
import { test } from 'node:test';
import { environmentLayer, makeConfig, variableNames } from './config.js';
import { messageLimits, walLimits } from './limits.js';

test('without anything said, every limit is the one in limits.ts', () => {
  const config = makeConfig();
  assert.deepEqual(config.wal, walLimits);
  assert.deepEqual(config.message, messageLimits);
  assert.equal(config.grpc.address, '127.0.0.1:4317');
});

test('later layers win key by key', () => {
  const config = makeConfig(
    { wal: { segmentAgeMs: 5, segmentEvents: 7 } },
    environmentLayer({ SLUICE_WAL_SEGMENT_AGE_MS: '6' }),
    { wal: { segmentBytes: 8 } },
  );
  assert.equal(config.wal.segmentAgeMs, 6);
  assert.equal(config.wal.segmentEvents, 7);
  assert.equal(config.wal.segmentBytes, 8);
});

test('an unknown key is named with the nearest known one', () => {
  assert.throws(
    () => makeConfig({ wal: { segmentAgeMS: 5 } }),
    /unknown configuration key wal\.segmentAgeMS; the nearest known one is wal\.segmentAgeMs/,
  );
  assert.throws(
    () => makeConfig({ stor: {} }),
    /unknown configuration key stor; the nearest known one is store/,
  );
});

test('a wrong value is named with what it is', () => {
  assert.throws(() => makeConfig({ wal: { segmentAgeMs: -1 } }), /wal\.segmentAgeMs is -1/);
  assert.throws(() => makeConfig({ store: { url: 'localhost' } }), /store\.url is "localhost"/);
  assert.throws(
    () => makeConfig({ grpc: { address: '4317' } }),
    /grpc\.address is "4317": must be HOST:PORT/,
  );
});

test('a longest age of a segment that is less than its age is an error that names both', () => {
  assert.throws(
    () => makeConfig({ wal: { segmentAgeMs: 2000, segmentMostAgeMs: 1999 } }),
    /wal\.segmentMostAgeMs is 1999 and wal\.segmentAgeMs is 2000/,
  );
  assert.throws(
    () => makeConfig({ wal: { segmentAgeMs: 20_000 } }),
    /wal\.segmentMostAgeMs is 10000 and wal\.segmentAgeMs is 20000.*at least 20000/,
  );
  assert.equal(makeConfig({ wal: { segmentAgeMs: 10_000 } }).wal.segmentMostAgeMs, 10_000);
});

test('an unknown variable is named with the nearest known one', () => {
  assert.throws(
    () => environmentLayer({ SLUICE_WAL_SEGMENT_AGE: '5' }),
    /unknown variable SLUICE_WAL_SEGMENT_AGE; the nearest known one is SLUICE_WAL_SEGMENT_AGE_MS/,
  );
});

test("the variables of the SDKs are not the collector's", () => {
  const shared = {
    SLUICE_ENDPOINT: 'x',
    SLUICE_PROJECT: 'p',
    SLUICE_RUN: 'r',
    SLUICE_ENCODING: 'rows',
  };
  assert.deepEqual(environmentLayer(shared), {});
  assert.ok(variableNames().has('SLUICE_STORE_URL'));
  assert.ok(variableNames().has('SLUICE_DATA_DIRECTORY'));
});

test('the number of workers comes from a file, a variable or a flag, and has a limit', () => {
  assert.equal(makeConfig().workers, 1);
  assert.equal(makeConfig({ workers: 3 }, environmentLayer({ SLUICE_WORKERS: '2' })).workers, 2);
  assert.throws(() => makeConfig({ workers: 65 }), /configuration key workers is 65/);
});

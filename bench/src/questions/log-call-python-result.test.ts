import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PythonCallTimes } from '../processes/protocol.js';
import {
  type Case,
  caseNames,
  type LogCallPythonMeasurements,
  logCallPythonProblem,
  logCallPythonResult,
  logCallPythonTable,
} from './log-call-python-result.js';

const ns = (p50: number) => ({ samples: 1000, p50, p99: 2 * p50, p999: 3 * p50, max: 9 * p50 });
const silent = { dropped: null, acknowledged: null, calls: null, bufferedBytes: null };
const speaking = { dropped: 0, acknowledged: 0, calls: 1, bufferedBytes: 2 ** 20 };

function measured(changes: Partial<Record<Case, Partial<PythonCallTimes>>> = {}): LogCallPythonMeasurements {
  const p50: Partial<Record<Case, number>> = {
    'sluice hung': 2000,
    'opentelemetry up': 30_000,
    'opentelemetry down': 20_000,
    'opentelemetry hung': 40_000,
    'wandb offline': 100_000,
  };
  const cases = new Map(
    caseNames.map((name) => {
      const counters = name.startsWith('sluice') ? speaking : silent;
      const drops = name.startsWith('sluice full') ? { dropped: 1000 } : {};
      return [name, { ns: ns(p50[name] ?? 1000), ...counters, ...drops, ...changes[name] }];
    }),
  );
  return {
    cases,
    clock: ns(50),
    stepRates: {
      sluice_numpy: { stepMs: 2, slowdown: 0.0012, slowdownFrom: -0.001, slowdownTo: 0.003, pairs: 60 },
    },
    sustained: {
      events: 2_000_000,
      loggedSeconds: 10,
      acknowledgedSeconds: 12.5,
      acknowledged: 2_000_000,
      dropped: 0,
      delivered: true,
      cpuUs: 10_000_000,
    },
    stored: { events: 2_000_000, duplicated: 0 },
  };
}

const sound = { acknowledged: true, full: true };

test('the slowest state of Sluice is compared with the fastest of OpenTelemetry', () => {
  const result = logCallPythonResult(measured());
  assert.equal(result.opentelemetry_to_sluice, 10);
  assert.equal(result.wandb_to_sluice, 50);
});

test('the sustained rate counts until the last acknowledgment', () => {
  const { sustained } = logCallPythonResult(measured());
  assert.equal(sustained.events_per_second, 160_000);
  assert.equal(sustained.cpu_us_per_event, 5);
});

test('what says nothing of itself has no counters', () => {
  const { call_ns } = logCallPythonResult(measured());
  assert.deepEqual(Object.keys(call_ns['logging'] ?? {}), ['samples', 'p50', 'p99', 'p999', 'max']);
  assert.equal((call_ns['sluice_up'] as { buffered_mib?: number }).buffered_mib, 1);
});

test('the table has a line for each case and each step rate', () => {
  const table = logCallPythonTable(logCallPythonResult(measured()));
  for (const name of caseNames) assert.ok(table.includes(name), name);
  assert.match(table, /sluice numpy +2\.00 +0\.12 % +-0\.10 to 0\.30/);
});

test('a sound run has no problem, and a case that was none is one', () => {
  assert.equal(logCallPythonProblem(measured(), sound), undefined);
  assert.match(
    logCallPythonProblem(measured(), { ...sound, acknowledged: false }) ?? '',
    /not everything was acknowledged/,
  );
  assert.match(logCallPythonProblem(measured(), { ...sound, full: false }) ?? '', /did not fill/);
  assert.match(
    logCallPythonProblem(measured({ 'sluice down': { dropped: 1 } }), sound) ?? '',
    /full already/,
  );
  assert.match(
    logCallPythonProblem(measured({ 'sluice hung': { calls: 0 } }), sound) ?? '',
    /no call was opened/,
  );
  assert.match(
    logCallPythonProblem(measured({ 'sluice full': { dropped: 10 } }), sound) ?? '',
    /not every call was a drop/,
  );
  assert.match(
    logCallPythonProblem({ ...measured(), stored: { events: 1_999_999, duplicated: 0 } }, sound) ?? '',
    /SQL counts 1999999/,
  );
});

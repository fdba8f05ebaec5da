/** The keys and the table of `log-call-python`, and whether each case was what it is called. Pure. */
import { mib, round } from '../measure/figures.js';
import type { Percentiles } from '../measure/percentiles.js';
import type { PythonCallTimes, StepRate, SustainedLoad } from '../processes/protocol.js';
import { aligned, columns, grouped } from '../table.js';

export const caseNames = [
  'sluice up',
  'sluice down',
  'sluice hung',
  'sluice full',
  'sluice full_down',
  'logging',
  'opentelemetry up',
  'opentelemetry down',
  'opentelemetry hung',
  'wandb offline',
  'nothing',
] as const;
export type Case = (typeof caseNames)[number];

export interface LogCallPythonMeasurements {
  readonly cases: ReadonlyMap<Case, PythonCallTimes>;
  readonly clock: Percentiles;
  readonly stepRates: Readonly<Record<string, StepRate>>;
  readonly sustained: SustainedLoad;
  readonly stored: { readonly events: number; readonly duplicated: number };
}

export type LogCallPythonResult = ReturnType<typeof logCallPythonResult>;

const states = ['up', 'down', 'hung'] as const;

export function logCallPythonResult(measured: LogCallPythonMeasurements) {
  const { cases, clock, stepRates, sustained, stored } = measured;
  const timesOf = (name: Case): PythonCallTimes => {
    const times = cases.get(name);
    if (times === undefined) throw new Error(`the case ${name} was not measured`);
    return times;
  };
  const perCase = caseNames.map((name) => {
    const { ns, dropped, acknowledged, calls, bufferedBytes } = timesOf(name);
    const counters =
      bufferedBytes === null
        ? {}
        : { dropped, acknowledged, grpc_calls: calls, buffered_mib: mib(bufferedBytes) };
    return [name.replace(' ', '_'), { ...ns, ...counters }] as const;
  });
  // Against the slowest state of ours and the fastest of theirs.
  const ours = Math.max(...states.map((state) => timesOf(`sluice ${state}`).ns.p50));
  const otel = Math.min(...states.map((state) => timesOf(`opentelemetry ${state}`).ns.p50));
  const seconds = sustained.acknowledgedSeconds;
  return {
    question: 'log-call-python' as const,
    call_ns: Object.fromEntries(perCase),
    empty_clock_ns: clock,
    opentelemetry_to_sluice: round(otel / ours, 1),
    wandb_to_sluice: round(timesOf('wandb offline').ns.p50 / ours, 1),
    logging_to_sluice: round(timesOf('logging').ns.p50 / ours, 1),
    step_rate: Object.fromEntries(
      Object.entries(stepRates).map(([name, rate]) => [
        name,
        {
          step_ms: round(rate.stepMs, 3),
          slowdown_percent: round(rate.slowdown * 100, 2),
          quartiles_percent: [round(rate.slowdownFrom * 100, 2), round(rate.slowdownTo * 100, 2)],
          pairs: rate.pairs,
        },
      ]),
    ),
    sustained: {
      events: sustained.events,
      seconds: round(seconds, 2),
      events_per_second: round(sustained.events / seconds, 0),
      cpu_us_per_event: round(sustained.cpuUs / sustained.events, 2),
      dropped: sustained.dropped,
      stored: stored.events,
      duplicated: stored.duplicated,
    },
  };
}

/** A case that was none makes its figures worthless. */
export function logCallPythonProblem(
  { cases, sustained, stored }: LogCallPythonMeasurements,
  { acknowledged, full }: { acknowledged: boolean; full: boolean },
): string | undefined {
  if (!acknowledged) return 'sluice up: not everything was acknowledged';
  if (!full) return 'sluice full: the buffer did not fill in time';
  for (const state of states) {
    if ((cases.get(`sluice ${state}`)?.dropped ?? 0) > 0) {
      return `sluice ${state}: the buffer was full already; give fewer --calls`;
    }
  }
  for (const state of ['down', 'hung'] as const) {
    if ((cases.get(`sluice ${state}`)?.acknowledged ?? 0) > 0)
      return `sluice ${state}: something was acknowledged`;
  }
  if ((cases.get('sluice hung')?.calls ?? 0) === 0) return 'sluice hung: no call was opened';
  for (const name of ['sluice full', 'sluice full_down'] as const) {
    // Not every call of it: what was evicted or freed meanwhile lets a few in.
    const times = cases.get(name);
    if ((times?.dropped ?? 0) < 0.9 * (times?.ns.samples ?? 0)) return `${name}: not every call was a drop`;
  }
  if (!sustained.delivered) return 'sustained: not everything was acknowledged';
  if (sustained.dropped > 0) return `sustained: ${sustained.dropped} events were dropped`;
  if (stored.events !== sustained.acknowledged) {
    return `sustained: ${sustained.acknowledged} events were acknowledged, SQL counts ${stored.events}`;
  }
  if (stored.duplicated > 0) return `sustained: ${stored.duplicated} events are stored twice`;
  return undefined;
}

export function logCallPythonTable(result: LogCallPythonResult): string {
  const { call_ns, empty_clock_ns, step_rate, sustained } = result;
  const line = (label: string, ns: Percentiles): string[] => [
    label,
    ...[ns.p50, ns.p99, ns.p999, ns.max, ns.samples].map(grouped),
  ];
  const times = columns(
    ['ns a call', 'p50', 'p99', 'p99.9', 'max', 'calls'],
    [
      ...Object.entries(call_ns).map(([name, ns]) => line(name.replace('_', ' '), ns)),
      line('(the clock alone)', empty_clock_ns),
    ],
  );
  const rates = columns(
    ['step with an event', 'ms a step', 'slower by', 'quartiles'],
    Object.entries(step_rate).map(([name, { step_ms, slowdown_percent, quartiles_percent }]) => [
      name.replace('_', ' '),
      step_ms.toFixed(2),
      `${slowdown_percent.toFixed(2)} %`,
      quartiles_percent.map((share) => share.toFixed(2)).join(' to '),
    ]),
  );
  const rest = aligned([
    ['OpenTelemetry ÷ Sluice', result.opentelemetry_to_sluice.toFixed(1), 'p50'],
    ['wandb ÷ Sluice', result.wandb_to_sluice.toFixed(1), 'p50'],
    ['sustained by one process', grouped(sustained.events_per_second), 'events/s'],
    ['CPU of that process', sustained.cpu_us_per_event.toFixed(2), 'µs/event'],
  ]);
  return `${times}\n\n${rates}\n\n${rest}`;
}

/** The keys and the table of `log-call`, and whether each state was what it is called. Pure. */
import { mib, round } from '../measure/figures.js';
import type { Percentiles } from '../measure/percentiles.js';
import type { CallTimes } from '../processes/protocol.js';
import { aligned, columns, grouped } from '../table.js';

export const stateNames = ['up', 'down', 'hung', 'full', 'full_down'] as const;
export type State = (typeof stateNames)[number];
export type States = ReadonlyMap<State, CallTimes>;

export interface LogCallMeasurements {
  readonly states: States;
  readonly clock: { readonly ns: Percentiles; readonly resolutionNs: number };
  readonly allocated: { readonly heapBytes: number; readonly externalBytes: number };
}

export type LogCallResult = ReturnType<typeof logCallResult>;

export function logCallResult({ states, clock, allocated }: LogCallMeasurements) {
  const perState = stateNames.map((state) => {
    const times = states.get(state);
    if (times === undefined) throw new Error(`the state ${state} was not measured`);
    const { ns, dropped, acknowledged, calls, bufferedBytes } = times;
    const counters = { dropped, acknowledged, grpc_calls: calls, buffered_mib: mib(bufferedBytes) };
    return [state, { ...ns, ...counters }] as const;
  });
  const total = allocated.heapBytes + allocated.externalBytes;
  return {
    question: 'log-call' as const,
    call_ns: Object.fromEntries(perState) as Record<State, (typeof perState)[number][1]>,
    clock: { resolution_ns: round(clock.resolutionNs, 0), empty_call_ns: clock.ns },
    allocated_bytes_per_call: {
      heap: round(allocated.heapBytes, 1),
      external: round(allocated.externalBytes, 1),
      total: round(total, 1),
    },
  };
}

/** A state that was none makes its figures worthless. */
export function logCallProblem(
  states: States,
  { acknowledged, full }: { acknowledged: boolean; full: boolean },
): string | undefined {
  const droppedIn = (state: State): number => states.get(state)?.dropped ?? 0;
  const samplesOf = (state: State): number => states.get(state)?.ns.samples ?? 0;
  if (!acknowledged) return 'up: not everything was acknowledged';
  if (!full) return 'full: the buffer did not fill in time';
  for (const state of ['up', 'down', 'hung'] as const) {
    if (droppedIn(state) > 0) return `${state}: the buffer was full already; give fewer --calls`;
  }
  for (const state of ['down', 'hung'] as const) {
    if ((states.get(state)?.acknowledged ?? 0) > 0) return `${state}: something was acknowledged`;
  }
  if ((states.get('hung')?.calls ?? 0) === 0) return 'hung: no call was opened';
  for (const state of ['full', 'full_down'] as const) {
    if (droppedIn(state) < samplesOf(state)) return `${state}: not every call was a drop`;
  }
  return undefined;
}

export function logCallTable({ call_ns, clock, allocated_bytes_per_call }: LogCallResult): string {
  const line = (label: string, ns: Percentiles): string[] => [
    label,
    ...[ns.p50, ns.p99, ns.p999, ns.max, ns.samples].map(grouped),
  ];
  const times = columns(
    ['ns a call', 'p50', 'p99', 'p99.9', 'max', 'calls'],
    [
      ...stateNames.map((state) => line(state, call_ns[state])),
      line('(the clock alone)', clock.empty_call_ns),
    ],
  );
  const bytes = aligned([
    ['allocated on the heap', allocated_bytes_per_call.heap.toFixed(0), 'bytes/call'],
    ['allocated outside it', allocated_bytes_per_call.external.toFixed(0), 'bytes/call'],
    ['resolution of the clock', grouped(clock.resolution_ns), 'ns'],
  ]);
  return `${times}\n\n${bytes}`;
}

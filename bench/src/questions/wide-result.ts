/** The keys and the table of `wide`. Pure. */
import { perSecond, round } from '../measure/figures.js';
import type { MeasuredLoad } from '../run/measured-load.js';
import { columns, grouped } from '../table.js';
import { cpuPerEvent, rounded, total } from './ingest-result.js';

export type WideCase = { readonly keys: number; readonly measured: MeasuredLoad };
export type WideResult = ReturnType<typeof wideResult>;

export function wideResult(asked: { producers: number; seconds: number; cases: readonly WideCase[] }) {
  const { cases } = asked;
  const hundredToFive = (figureOf: (measured: MeasuredLoad) => number): number => {
    const [hundred, five] = [100, 5].map((keys) => cases.find((one) => one.keys === keys)?.measured);
    return hundred && five ? round(figureOf(hundred) / figureOf(five), 2) : Number.NaN;
  };
  const rateOf = ({ events, visibleMs, startMs }: MeasuredLoad): number =>
    perSecond(events, visibleMs - startMs);
  return {
    question: 'wide' as const,
    producers: asked.producers,
    seconds: asked.seconds,
    /** Of CPU per event; near 1 is good. The other one is of rates, which swing with the machine. */
    hundred_to_five: hundredToFive((measured) => total(cpuPerEvent(measured))),
    hundred_to_five_rate: hundredToFive(rateOf),
    cases: cases.map(({ keys, measured }) => ({
      keys,
      names: keys / 5,
      events: measured.events,
      stored: measured.stored,
      duplicated: measured.duplicated,
      events_per_second: rateOf(measured),
      acknowledged_events_per_second: perSecond(measured.events, measured.acknowledgedMs - measured.startMs),
      cpu_us_per_event: { ...rounded(cpuPerEvent(measured)), all: round(total(cpuPerEvent(measured)), 3) },
      generator_cpu_us_per_event: round(measured.generatorUsPerEvent, 3),
      merged_rows_per_event: round(measured.mergedRows / measured.events, 2),
      merges_settled: measured.mergesSettled,
    })),
  };
}

export function wideTable({ cases, hundred_to_five, hundred_to_five_rate }: WideResult): string {
  const table = columns(
    ['distinct keys', 'stored/s', 'SDK µs/event', 'collector', 'store', 'all', 'merged rows/event'],
    cases.map((one) => [
      grouped(one.keys),
      grouped(one.events_per_second),
      one.cpu_us_per_event.sdk.toFixed(2),
      one.cpu_us_per_event.collector.toFixed(2),
      one.cpu_us_per_event.store.toFixed(2),
      one.cpu_us_per_event.all.toFixed(2),
      one.merged_rows_per_event.toFixed(2),
    ]),
  );
  return `${table}\n\n100 keys ÷ 5 keys: CPU ${hundred_to_five.toFixed(2)}, rate ${hundred_to_five_rate.toFixed(2)}`;
}

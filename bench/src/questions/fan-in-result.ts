/** The keys and the table of `fan-in`. Pure. */
import { mib, perSecond, round } from '../measure/figures.js';
import type { MeasuredLoad } from '../run/measured-load.js';
import { columns, grouped } from '../table.js';
import { cpuPerEvent, rounded } from './ingest-result.js';

export type FanInCase = { readonly producers: number; readonly measured: MeasuredLoad };
export type FanInResult = ReturnType<typeof fanInResult>;

export function fanInResult(seconds: number, cases: readonly FanInCase[]) {
  const rateOf = (producers: number): number => {
    const found = cases.find((one) => one.producers === producers)?.measured;
    return found === undefined ? Number.NaN : found.events / (found.visibleMs - found.startMs);
  };
  return {
    question: 'fan-in' as const,
    seconds,
    thousand_to_ten: round(rateOf(1000) / rateOf(10), 2),
    cases: cases.map(({ producers, measured }) => ({
      producers,
      events: measured.events,
      stored: measured.stored,
      duplicated: measured.duplicated,
      events_per_second: perSecond(measured.events, measured.visibleMs - measured.startMs),
      acknowledged_events_per_second: perSecond(measured.events, measured.acknowledgedMs - measured.startMs),
      cpu_us_per_event: rounded(cpuPerEvent(measured)),
      collector_rss_peak_mib: mib(measured.collector.after.rssPeakBytes),
      resends: measured.resends,
      wal_backlog_peak_mib: mib(measured.walBacklogPeakBytes),
      merges_settled: measured.mergesSettled,
    })),
  };
}

export function fanInTable({ cases, thousand_to_ten }: FanInResult): string {
  const table = columns(
    [
      'producers',
      'stored/s',
      'acknowledged/s',
      'collector µs/event',
      'SDK µs/event',
      'collector MiB',
      'resends',
    ],
    cases.map((one) => [
      grouped(one.producers),
      grouped(one.events_per_second),
      grouped(one.acknowledged_events_per_second),
      one.cpu_us_per_event.collector.toFixed(2),
      one.cpu_us_per_event.sdk.toFixed(2),
      one.collector_rss_peak_mib.toFixed(0),
      grouped(one.resends),
    ]),
  );
  return `${table}\n\nstored by 1,000 ÷ stored by 10: ${thousand_to_ten.toFixed(2)}`;
}

/** From what `ingest` measured to the keys that it reports. Pure. */
import type { Machine } from '../machine.js';
import { shareThreads, type Usage } from '../measure/usage.js';

export interface IngestMeasurements {
  readonly events: number;
  readonly producers: number;
  /** On one clock: the first log call, the last acknowledgment, all rows counted by SQL. */
  readonly startMs: number;
  readonly acknowledgedMs: number;
  readonly visibleMs: number;
  readonly stored: number;
  readonly duplicated: number;
  readonly sdk: {
    readonly cpuUs: number;
    readonly rssPeakBytes: number;
    readonly generatorUsPerEvent: number;
  };
  readonly collector: { readonly before: Usage; readonly after: Usage };
  readonly store: { readonly before: Usage; readonly after: Usage; readonly mergedRows: number };
  readonly floor: { readonly cpuUs: number; readonly mergedRows: number };
  readonly mergesSettled: boolean;
  readonly batchRows: readonly number[];
  /** SLUICE_… variables that were set: what was measured is then not the default. */
  readonly settings: Readonly<Record<string, string>>;
  readonly profiled: boolean;
  readonly machine: Machine;
  readonly date: string;
}

export type IngestResult = ReturnType<typeof ingestResult>;

export function ingestResult(measured: IngestMeasurements) {
  const { events, startMs, collector, store, floor } = measured;
  const perEvent = (cpuUs: number): number => round(cpuUs / events, 3);
  const perSecond = (endMs: number): number => Math.round(events / ((endMs - startMs) / 1000));
  const collectorUs = collector.after.cpuUs - collector.before.cpuUs;
  const storeUs = store.after.cpuUs - store.before.cpuUs;
  const threads = shareThreads(collector.before, collector.after);
  return {
    question: 'ingest',
    events,
    producers: measured.producers,
    events_per_second: perSecond(measured.visibleMs),
    acknowledged_events_per_second: perSecond(measured.acknowledgedMs),
    stored: measured.stored,
    duplicated: measured.duplicated,
    cpu_us_per_event: {
      sdk: perEvent(measured.sdk.cpuUs),
      collector: perEvent(collectorUs),
      store: perEvent(storeUs),
    },
    floor_cpu_us_per_event: perEvent(floor.cpuUs),
    ratio: round((measured.sdk.cpuUs + collectorUs + storeUs) / floor.cpuUs, 2),
    generator_cpu_us_per_event: round(measured.sdk.generatorUsPerEvent, 3),
    collector_threads_cpu_us_per_event:
      threads === undefined
        ? null
        : {
            main: perEvent(threads.mainUs),
            worker: perEvent(threads.busiestUs),
            rest: perEvent(threads.restUs),
          },
    merged_rows_per_event: {
      run: round(store.mergedRows / events, 2),
      floor: round(floor.mergedRows / events, 2),
    },
    merges_settled: measured.mergesSettled,
    sdk_rss_peak_mib: mib(measured.sdk.rssPeakBytes),
    collector_rss_peak_mib: mib(collector.after.rssPeakBytes),
    store_rss_peak_mib: mib(store.after.rssPeakBytes),
    batches: measured.batchRows.length,
    batch_rows: { least: Math.min(...measured.batchRows), most: Math.max(...measured.batchRows) },
    settings: measured.settings,
    profiled: measured.profiled,
    machine: measured.machine,
    date: measured.date,
  };
}

function mib(bytes: number): number {
  return round(bytes / 2 ** 20, 1);
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

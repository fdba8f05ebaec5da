/** From what `ingest` measured to the keys that it reports. Pure. */
import { mib, perSecond, round } from '../measure/figures.js';
import { shareThreads } from '../measure/usage.js';
import type { Load } from '../processes/protocol.js';
import type { FloorMeasurements } from '../run/floor.js';
import type { MeasuredLoad } from '../run/measured-load.js';

export type IngestMeasurements = Omit<MeasuredLoad, 'warmupBatches' | 'engineVersion'> & {
  readonly question: 'ingest' | 'rows';
  readonly producers: number;
  readonly load: Load;
  readonly floor: Pick<FloorMeasurements, 'cpuUs' | 'mergedRows' | 'settled'>;
};

export type IngestResult = ReturnType<typeof ingestResult>;

export function ingestResult(measured: IngestMeasurements) {
  const { events, load, startMs, loggedMs, collector, floor } = measured;
  const perEvent = (cpuUs: number): number => round(cpuUs / events, 3);
  const cpu = cpuPerEvent(measured);
  const threads = shareThreads(collector.before, collector.after);
  const batchRows = measured.batches.map(({ rows }) => rows);
  const floorUs = floor.cpuUs / events;
  return {
    question: measured.question,
    seconds: 'seconds' in load ? load.seconds : null,
    events,
    producers: measured.producers,
    events_per_second: perSecond(events, measured.visibleMs - startMs),
    acknowledged_events_per_second: perSecond(events, measured.acknowledgedMs - startMs),
    stored_events_per_second_while_logging: perSecond(measured.committedWhileLogging, loggedMs - startMs),
    stored: measured.stored,
    duplicated: measured.duplicated,
    cpu_us_per_event: rounded(cpu),
    floor_cpu_us_per_event: perEvent(floor.cpuUs),
    ratio: round(total(cpu) / floorUs, 2),
    ratio_without_generator: round((total(cpu) - measured.generatorUsPerEvent) / floorUs, 2),
    generator_cpu_us_per_event: round(measured.generatorUsPerEvent, 3),
    collector_threads_cpu_us_per_event:
      threads === undefined
        ? null
        : {
            main: perEvent(threads.mainUs),
            worker: perEvent(threads.busiestUs),
            rest: perEvent(threads.restUs),
          },
    merged_rows_per_event: {
      run: round(measured.mergedRows / events, 2),
      floor: round(floor.mergedRows / events, 2),
    },
    merges_settled: measured.mergesSettled && floor.settled,
    parts_active_peak: measured.partsActivePeak,
    wal_backlog_peak_mib: mib(measured.walBacklogPeakBytes),
    sdk_rss_peak_mib: mib(measured.sdkRssPeakBytes),
    collector_rss_peak_mib: mib(collector.after.rssPeakBytes),
    store_rss_peak_mib: mib(measured.store.after.rssPeakBytes),
    batches: batchRows.length,
    batch_rows: { least: Math.min(...batchRows), most: Math.max(...batchRows) },
  };
}

export interface CpuPerEvent {
  readonly sdk: number;
  readonly collector: number;
  readonly store: number;
}

/** Microseconds; the SDK's include making the events, the store's the merges. */
export function cpuPerEvent(
  measured: Pick<MeasuredLoad, 'events' | 'cpuUs' | 'collector' | 'store'>,
): CpuPerEvent {
  const { events, collector, store } = measured;
  return {
    sdk: measured.cpuUs / events,
    collector: (collector.after.cpuUs - collector.before.cpuUs) / events,
    store: (store.after.cpuUs - store.before.cpuUs) / events,
  };
}

export function total({ sdk, collector, store }: CpuPerEvent): number {
  return sdk + collector + store;
}

export function rounded({ sdk, collector, store }: CpuPerEvent): CpuPerEvent {
  return { sdk: round(sdk, 3), collector: round(collector, 3), store: round(store, 3) };
}

/** The result for people, on stderr. */
import { aligned, grouped } from '../table.js';
import type { IngestResult } from './ingest-result.js';

export function ingestTable(result: IngestResult): string {
  const { cpu_us_per_event: cpu, collector_threads_cpu_us_per_event: threads } = result;
  const total = cpu.sdk + cpu.collector + cpu.store;
  const rows: [string, string, string][] = [
    ['events stored and visible to SQL', grouped(result.events_per_second), 'events/s'],
    ['  of them while logging went on', grouped(result.stored_events_per_second_while_logging), 'events/s'],
    ['events acknowledged (fsynced)', grouped(result.acknowledged_events_per_second), 'events/s'],
    ['CPU: SDK', cpu.sdk.toFixed(2), 'µs/event'],
    ['  of it making the events', result.generator_cpu_us_per_event.toFixed(2), 'µs/event'],
    ['CPU: collector', cpu.collector.toFixed(2), 'µs/event'],
  ];
  if (threads !== null) {
    rows.push(
      ['  of it receiving (main thread)', threads.main.toFixed(2), 'µs/event'],
      ['  of it encoding (worker thread)', threads.worker.toFixed(2), 'µs/event'],
      ['  of it other threads', threads.rest.toFixed(2), 'µs/event'],
    );
  }
  rows.push(
    ['CPU: store, merges included', cpu.store.toFixed(2), 'µs/event'],
    ['CPU: all', total.toFixed(2), 'µs/event'],
    ['CPU: floor (the engine alone)', result.floor_cpu_us_per_event.toFixed(2), 'µs/event'],
    ['ratio, all to floor', result.ratio.toFixed(2), ''],
    ['  without making the events', result.ratio_without_generator.toFixed(2), ''],
    ['rows merged, run', result.merged_rows_per_event.run.toFixed(2), 'an event'],
    ['rows merged, floor', result.merged_rows_per_event.floor.toFixed(2), 'an event'],
    ['active parts, peak', grouped(result.parts_active_peak), ''],
    ['backlog in the log, peak', result.wal_backlog_peak_mib.toFixed(0), 'MiB'],
    ['peak memory: SDK', result.sdk_rss_peak_mib.toFixed(0), 'MiB'],
    ['peak memory: collector', result.collector_rss_peak_mib.toFixed(0), 'MiB'],
    ['peak memory: store', result.store_rss_peak_mib.toFixed(0), 'MiB'],
    ['batches', grouped(result.batches), ''],
    ['stored', grouped(result.stored), `of ${grouped(result.events)}`],
    ['duplicated', grouped(result.duplicated), ''],
  );
  const table = aligned(rows);
  if (result.merged_rows_per_event.floor > 0) return table;
  return `${table}\nNothing was merged in so few batches: store and floor are without merges. Log for longer.`;
}

/** The keys and the table of `latency`. Pure. */
import { round } from '../measure/figures.js';
import { type Percentiles, percentiles } from '../measure/percentiles.js';
import type { ProbeTimes } from '../processes/protocol.js';
import { columns, grouped } from '../table.js';

export interface LevelMeasurements {
  readonly percent: number;
  /** Events a second that the load was to have, and that it had. */
  readonly offered: number;
  readonly reached: number;
  /** By the load's SDKs. */
  readonly dropped: number;
  readonly times: ProbeTimes;
}

export type LatencyResult = ReturnType<typeof latencyResult>;

export function latencyResult(measured: {
  peak: number;
  isPeakMeasured: boolean;
  producers: number;
  levels: readonly LevelMeasurements[];
}) {
  return {
    question: 'latency' as const,
    producers: measured.producers,
    peak_events_per_second: measured.peak,
    peak_measured: measured.isPeakMeasured,
    levels: measured.levels.map(({ percent, offered, reached, times }) => ({
      percent,
      offered_events_per_second: offered,
      reached_events_per_second: reached,
      acknowledged_ms: percentiles(times.acknowledgedMs, 1),
      flushed_ms: percentiles(times.flushedMs, 1),
      visible_ms: percentiles(times.visibleMs, 1),
      flushed_visible_ms: percentiles(times.flushedVisibleMs, 1),
      visible_look_every_ms: round(times.lookEveryMs, 1),
    })),
  };
}

export function latencyProblem(levels: readonly LevelMeasurements[]): string | undefined {
  for (const { percent, dropped, times } of levels) {
    if (dropped > 0) return `${percent} %: the load dropped ${dropped} events`;
    if (times.missing > 0) return `${percent} %: ${times.missing} probes had no answer in time`;
  }
  return undefined;
}

export function latencyTable({ levels, peak_events_per_second }: LatencyResult): string {
  const lines = levels.flatMap((level) => {
    const line = (what: string, ms: Percentiles): string[] => [
      `${level.percent} %, ${grouped(level.reached_events_per_second)} events/s: ${what}`,
      ...[ms.p50, ms.p99, ms.max].map((value) => value.toFixed(1)),
      grouped(ms.samples),
    ];
    return [
      line('acknowledged', level.acknowledged_ms),
      line('flush()', level.flushed_ms),
      line('visible', level.visible_ms),
      line('visible after flush()', level.flushed_visible_ms),
    ];
  });
  const table = columns(['ms since the log call', 'p50', 'p99', 'max', 'probes'], lines);
  return `peak: ${grouped(peak_events_per_second)} events/s\n\n${table}`;
}

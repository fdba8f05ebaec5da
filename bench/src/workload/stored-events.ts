/**
 * Events for a store that is to be full before it is asked: the SQL that makes them inside the store. Runs over
 * several days, each with 8 ranks that log five names at every step, as TrainingEvents does, from the same recorded
 * values, and lines of text, some of them errors. One INSERT is a stretch of one run, about as many rows as a full
 * segment of the collector holds, in the order of the sorting key.
 */
import type { LogLine, LogSection } from './training-log.js';

export interface StorePlan {
  readonly runs: number;
  readonly days: number;
  readonly ranks: number;
  /** Of each rank in each run. */
  readonly steps: number;
  /** Inserts of each run; each has an equal share of the steps. */
  readonly inserts: number;
  readonly rows: number;
}

const ranks = 8;
const names = 5;
/** A line of text every so many steps; one in 25 of them is an error. */
const stepsPerLine = 20;
const linesPerError = 25;
const rowsPerRun = 500_000;
const insertsPerRun = 4;
const mostDays = 10;
const firstDay = Date.UTC(2026, 2, 1);
const dayMs = 86_400_000;
/** Of a step; a run of half a million rows then takes three and a half hours. */
const stepMs = 1000;
/** Runs begin on the hour, early enough to end on the same day. */
const startHours = 20;

export const storedProject = 'bench';

export function planStore(rows: number): StorePlan {
  const runs = Math.max(1, Math.round(rows / rowsPerRun));
  const days = Math.min(mostDays, runs);
  // Each insert has whole lines of text.
  const unit = insertsPerRun * stepsPerLine;
  const wanted = rows / runs / (ranks * (names + 1 / stepsPerLine));
  const steps = Math.max(1, Math.round(wanted / unit)) * unit;
  const inserts = insertsPerRun;
  return { runs, days, ranks, steps, inserts, rows: runs * ranks * (steps * names + steps / stepsPerLine) };
}

export function runName(run: number): string {
  return `run-${String(run).padStart(4, '0')}`;
}

/** The day of a run, such as 2026-03-01; runs are in the order of their days. */
export function dayOf({ days, runs }: StorePlan, run: number): string {
  return new Date(firstDay + Math.floor((run * days) / runs) * dayMs).toISOString().slice(0, 10);
}

const columns = `project, run_id, name, rank, time, step, severity_number, body, metrics, attributes, job, host,
  attempt, trace_id, span_id, producer_id, sequence, received_date, batch_id`;

/** One INSERT: the events of a stretch of a run. */
export function insertOfRun(
  plan: StorePlan,
  { run, insert }: { run: number; insert: number },
  sections: readonly LogSection[],
): string {
  const steps = plan.steps / plan.inserts;
  const order = ['log', ...sections.map(({ name }) => name)].sort();
  const start = `${dayOf(plan, run)} ${String((run * 7) % startHours).padStart(2, '0')}:00:00`;
  const select = (name: string, every: number, metrics: string, extra: Partial<Extra>): string => {
    const { severity = '9', body = "''", attributes = 'map()' } = extra;
    const count = steps / every;
    return `SELECT '${storedProject}', '${runName(run)}', '${name}', toUInt32(intDiv(number, ${count})) AS rank,
      toDateTime64('${start}', 9, 'UTC') + toIntervalMillisecond(step * ${stepMs} + rank) AS time,
      toInt64(number % ${count}) * ${every} + ${insert * steps} AS step, toUInt8(${severity}) AS severity,
      ${body}, ${metrics}, ${attributes}, 'train', concat('node-', toString(intDiv(rank, 4))), toUInt16(0), '', '',
      toUUID(concat('00000000-0000-7000-8000-', leftPad(toString(${run} * 100 + rank), 12, '0'))),
      toUInt64(step * ${names + 1} + ${order.indexOf(name) + 1}), toDate('${dayOf(plan, run)}'),
      'batch-${runName(run)}-${insert}'
      FROM numbers(${plan.ranks * count})`;
  };
  const selects = sections.map(({ name, source, lines }) => {
    const attributes = `map('source', '${source.replaceAll("'", "\\'")}')`;
    return [name, select(name, 1, metricsOf(name, lines), { attributes })] as const;
  });
  const body = `if(severity = 17, concat('step ', toString(step), ': loss is not finite, batch skipped'),
    concat('step ', toString(step), ': checkpoint saved'))`;
  const severity = `if(number % ${linesPerError} = 0, 17, 9)`;
  selects.push(['log', select('log', stepsPerLine, 'map()', { body, severity })]);
  const ordered = order.map((name) => selects.find(([found]) => found === name)![1]);
  return `INSERT INTO events (${columns})\n${ordered.join('\nUNION ALL\n')}
    SETTINGS max_threads = 1, max_insert_threads = 1, max_block_size = 100000,
      min_insert_block_size_rows = 2000000, min_insert_block_size_bytes = 0`;
}

interface Extra {
  severity: string;
  body: string;
  attributes: string;
}

/** As TrainingEvents makes them: values from the lines, moved by up to a thousandth, other ones at every pass. */
function metricsOf(name: string, lines: readonly LogLine[]): string {
  const at = (key: keyof LogLine): string =>
    `[${lines.map((line) => line[key]).join(',')}][step % ${lines.length} + 1]`;
  const pass = `intDiv(step, ${lines.length})`;
  const moved = (key: keyof LogLine, digits: number): string =>
    `round(${at(key)} * (0.999 + intHash32(number + ${key.length} + step) * ${0.002 / 2 ** 32}), ${digits})`;
  const metrics: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    'train.step': {
      train_loss: moved('train_loss', 4),
      train_time_ms: `${at('train_time')} + ${pass} * 17280`,
      step_avg_ms: moved('step_avg', 2),
      total_steps: at('total_steps'),
    },
    'train.optimizer': {
      trl: moved('trl', 4),
      lr: at('lr'),
      norm: moved('norm', 4),
      tokens: 'step * 524288',
    },
    'train.eval': {
      val_loss: moved('val_loss', 4),
      train_time_ms: `${at('train_time')} + ${pass} * 17280`,
      step_avg_ms: moved('step_avg', 2),
      total_steps: at('total_steps'),
    },
    'train.speed': {
      train_time_ms: `${at('train_time')} + ${pass} * 17280`,
      step_avg_ms: moved('step_avg', 2),
      steps_left: `${at('total_steps')} - step`,
      total_steps: at('total_steps'),
    },
    'gpu.memory': {
      peak_memory_allocated_mib: moved('allocated', 0),
      peak_memory_reserved_mib: at('reserved'),
      unused_mib: `${at('reserved')} - ${at('allocated')}`,
      uptime_ms: `step * ${stepMs}`,
    },
  };
  const found = metrics[name];
  if (found === undefined) throw new Error(`the fixture's section ${name} is made into no event`);
  return `map(${Object.entries(found)
    .map(([key, value]) => `'${key}', toFloat64(${value})`)
    .join(', ')})`;
}

/**
 * The formula of event-formula.ts in SQL: for each column, an expression that is true where the row `e`
 * is what its producer `p` (a row of the oracle's own table) logged under that number. That is the sequence, or, of a
 * producer that counts its calls, what the event itself holds.
 */
import { baseTimeMs, hashFactors, nanosPerSequence, plainSeverity, severities } from './event-formula.js';

const number = "if(p.counts_calls, toUInt64(e.metrics['call']), e.sequence)";
const hash = `bitAnd(e.sequence * toUInt64(${hashFactors.sequence}) + toUInt64(p.rank) * ${hashFactors.rank}, 4294967295)`;
const padding = 'repeat(char(97 + e.sequence % 26), p.pad_bytes)';
const hex16 = (value: string): string => `leftPad(hex(toUInt64(${value})), 16, '0')`;
const isTraced = 'e.sequence % 16 = 0';
const keyCount = (base: number, ...more: string[]): string =>
  [String(base), ...more.map((condition) => `toUInt64(${condition})`)].join(' + ');

/** The column (or the field that one holds), and what is true of it in a row that was not altered. */
const checks: readonly (readonly [column: string, isRight: string])[] = [
  ['project', 'e.project = p.project'],
  ['run_id', 'e.run_id = p.run_id'],
  ['rank', 'e.rank = p.rank'],
  ['job', 'e.job = p.job'],
  ['host', 'e.host = p.host'],
  ['attempt', 'e.attempt = p.attempt'],
  ['name', "e.name = concat('e', toString(e.sequence % 5))"],
  [
    'time',
    `toUnixTimestamp64Nano(e.time) = toInt64(${BigInt(baseTimeMs) * 1_000_000n}) + toInt64(e.sequence) * ${nanosPerSequence}`,
  ],
  [
    'step',
    'if(e.sequence % 7 = 0, isNull(e.step), ifNull(e.step, 0) = if(e.sequence % 2 = 0, -toInt64(e.sequence), toInt64(e.sequence)))',
  ],
  [
    'severity_number',
    `e.severity_number = if(p.is_plain, ${plainSeverity}, [${severities}][1 + e.sequence % ${severities.length}])`,
  ],
  [
    'body',
    "e.body = if(e.sequence % 3 = 0, concat('event ', toString(e.sequence), ' of rank ', toString(p.rank), ': größer ✓'), '')",
  ],
  [
    'metrics',
    `length(e.metrics) = ${keyCount(3, 'e.sequence % 13 = 0', 'p.counts_calls')} AND e.metrics['hash'] = ${hash} ` +
      "AND e.metrics['half'] = e.sequence / 2 " +
      "AND e.metrics[concat('m', toString(e.sequence % 11))] = toFloat64(p.rank) - e.sequence / 8 " +
      "AND (e.sequence % 13 != 0 OR e.metrics['peak'] = inf)",
  ],
  [
    'attributes',
    `length(e.attributes) = ${keyCount(2, 'e.sequence % 2 = 0', 'p.pad_bytes > 0')} ` +
      "AND e.attributes['id'] = concat(toString(p.rank), '-', toString(e.sequence)) " +
      "AND e.attributes['phase'] = concat('p', toString(e.sequence % 7)) " +
      "AND (e.sequence % 2 != 0 OR e.attributes['even'] = 'true') " +
      `AND (p.pad_bytes = 0 OR e.attributes['pad'] = ${padding})`,
  ],
  ['trace_id', `e.trace_id = if(${isTraced}, unhex(concat(${hex16('p.rank')}, ${hex16('e.sequence')})), '')`],
  ['span_id', `e.span_id = if(${isTraced}, unhex(${hex16('e.sequence')}), '')`],
  // A segment's UUIDv7, or a part of the segment: with the range of its events behind it.
  [
    'batch_id',
    "match(e.batch_id, '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}([.][0-9]+-[0-9]+)?$')",
  ],
  // A batch lies in the partition of the day on which its segment was opened, which its id tells.
  [
    'received_date',
    "e.received_date = toDate(UUIDv7ToDateTime(toUUIDOrZero(substring(e.batch_id, 1, 36)), 'UTC'))",
  ],
  // An event that could not be sent has no business here.
  ['sequence', 'e.sequence > 0 AND (p.loss_every = 0 OR e.sequence % p.loss_every != 0)'],
];

export const columnChecks = checks.map(
  ([column, isRight]) => [column, isRight.replaceAll('e.sequence', number)] as const,
);

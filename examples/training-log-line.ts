/**
 * What one line of a training log says. A line holds pairs of a key and a number, in any order and
 * between any text:
 *
 *     step:1/1490 train_time:21888ms step_avg:nanms
 *     peak memory allocated: 31361 MiB reserved: 36734 MiB
 *
 * A number becomes a metric under its key, with its unit behind it (`train_time_ms`). What is not such
 * a pair is left alone: the line itself is kept.
 */

export interface TrainingLogLine {
  /** What the line is about: `train.step`, `val`, `memory`, or `log` for anything else. */
  readonly name: 'train.step' | 'val' | 'memory' | 'log';
  readonly step: bigint | undefined;
  /** When the line was written, in milliseconds since 1970, if it begins with a date and a time. */
  readonly timeMs: number | undefined;
  /** A bigint is an integer that a double cannot hold. */
  readonly metrics: Readonly<Record<string, number | bigint>>;
}

/** More keys than an event may have are not read; a line with so many is not a line of metrics. */
const metricsLimit = 1000;

/** Keys under which logs count their steps. */
const stepKeys = new Set(['s', 'step', 'steps', 'iter', 'iteration', 'global_step']);

/** Units that may stand behind a blank, or behind `nan`: there, any other word is a word. */
const knownUnits =
  'ns|us|µs|ms|s|sec|secs|seconds|min|mins|minutes|h|hours|B|KB|MB|GB|TB|KiB|MiB|GiB|TiB|%|tok/s|tokens/s|it/s|samples/s|TFLOPS|TFLOPs|GFLOPS|W|C';

// Bounded repetition everywhere, so that a long line of prose costs no more than its length.
const word = '[A-Za-z_][\\w./\\-]{0,39}';
const pairPattern = new RegExp(
  [
    `(?<![\\w./\\-])(?<key>${word}(?: ${word}){0,5}?)`,
    ' {0,8}[:=] {0,8}',
    '(?:',
    `(?<special>[+-]?(?:nan|inf(?:inity)?))(?<specialUnit>${knownUnits})?`,
    '|',
    '(?<number>[+-]?(?:\\d+(?:\\.\\d*)?|\\.\\d+)(?:[eE][+-]?\\d+)?)',
    `(?:/(?<total>\\d+)(?![\\w.])|(?<unit>[A-Za-zµ%]+(?:/[A-Za-z]+)?)| (?<farUnit>${knownUnits})(?! {0,8}[:=]))?`,
    ')',
    // The number ends where a word ends: 10:32 is a time, 1.2.3 a version, 12ab34 a hash.
    '(?![\\w.:/\\-]*\\w)',
  ].join(''),
  'gi',
);

const timePattern =
  /^\W?(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?\s?(Z|UTC|[+-]\d\d:?\d\d)?(?![\w.])/;

export function parseTrainingLogLine(line: string): TrainingLogLine {
  const metrics: Record<string, number | bigint> = {};
  let step: bigint | undefined;
  let count = 0;
  for (const { groups } of line.matchAll(pairPattern)) {
    if (groups === undefined || count === metricsLimit) break;
    const key = (groups['key'] ?? '').replaceAll(' ', '_');
    const { number, special, total } = groups;
    const isStep = step === undefined && stepKeys.has(key.toLowerCase());
    if (isStep && number !== undefined && /^\d{1,18}$/.test(number)) {
      step = BigInt(number);
      // The N of step:n/N has no name of its own in the file; the line keeps it.
      continue;
    }
    const unit = groups['unit'] ?? groups['farUnit'] ?? groups['specialUnit'];
    const value = number === undefined ? parseSpecial(special ?? '') : parseNumber(number);
    count += add(metrics, withUnit(key, unit), value);
    if (total !== undefined) count += add(metrics, `${key}_total`, parseNumber(total));
  }
  return { name: nameOf(Object.keys(metrics), step), step, timeMs: parseTime(line), metrics };
}

/** Puts a metric in, under a name of its own if the line has the key twice. */
function add(metrics: Record<string, number | bigint>, key: string, value: number | bigint): number {
  let name = key;
  for (let again = 2; Object.hasOwn(metrics, name); again++) name = `${key}_${again}`;
  // Not an assignment, which would set a prototype under the key __proto__.
  Object.defineProperty(metrics, name, { value, enumerable: true, configurable: true, writable: true });
  return 1;
}

function parseNumber(text: string): number | bigint {
  const value = Number(text);
  return /^[+-]?\d+$/.test(text) && !Number.isSafeInteger(value) ? BigInt(text.replace('+', '')) : value;
}

function parseSpecial(text: string): number {
  if (/nan/i.test(text)) return Number.NaN;
  return text.startsWith('-') ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
}

function withUnit(key: string, unit: string | undefined): string {
  if (unit === undefined) return key;
  const suffix = unit.toLowerCase().replace('%', 'percent').replace('µ', 'u').replace('/', '_per_');
  return key.toLowerCase().endsWith(`_${suffix}`) ? key : `${key}_${suffix}`;
}

function nameOf(keys: readonly string[], step: bigint | undefined): TrainingLogLine['name'] {
  if (keys.some((key) => /^(?:val|eval|test)(?:_|$)|^tel$/i.test(key))) return 'val';
  if (step !== undefined) return 'train.step';
  return keys.some((key) => /memory|mem_/i.test(key)) ? 'memory' : 'log';
}

/** A time without a zone is taken for UTC. */
function parseTime(line: string): number | undefined {
  const [, date, time, fraction = '', zone = 'Z'] = timePattern.exec(line) ?? [];
  if (date === undefined || time === undefined) return undefined;
  const millis = Date.parse(
    `${date}T${time}.${fraction.padEnd(3, '0').slice(0, 3)}${zone === 'UTC' ? 'Z' : zone}`,
  );
  return Number.isNaN(millis) ? undefined : millis;
}

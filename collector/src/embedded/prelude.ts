/**
 * What is said to the engine before a statement so that it behaves as a server would: the request's
 * settings, parameters and database, and the store's own bounds.
 */
import { exception } from './exceptions.js';
import type { StatementRequest } from './request.js';

export interface Prelude {
  /** SET and USE, each ending in `; `. */
  readonly sql: string;
  /** Names that were set from the request, so that a session can put them back. */
  readonly names: ReadonlySet<string>;
}

export function quoteString(value: string): string {
  return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'").replaceAll('\0', '\\0')}'`;
}

export function quoteIdentifier(name: string): string {
  return `\`${name.replaceAll('\\', '\\\\').replaceAll('`', '\\`')}\``;
}

// chDB's own defaults that a server does not have, and what the store needs to be sure of: an INSERT is
// one part and is on the disk when it is answered.
const serverDefaults: readonly (readonly [string, string])[] = [
  ['implicit_select', '0'],
  ['async_insert', '0'],
  ['allow_introspection_functions', '0'],
];

function boundedMemory(asked: string | undefined, limit: number): string {
  if (asked === undefined) return String(limit);
  if (!/^\d+$/.test(asked)) {
    throw exception(
      'CANNOT_PARSE_TEXT',
      `Cannot parse '${asked.slice(0, 100)}' as max_memory_usage: bytes as a whole number`,
    );
  }
  const bytes = BigInt(asked);
  // 0 is ClickHouse's word for no limit.
  return bytes === 0n || bytes > BigInt(limit) ? String(limit) : asked;
}

/**
 * `mark` finds the statement in `system.processes`: it becomes the first word of its `log_comment`,
 * since the engine's own query_id cannot be chosen. `applied` are the names that an earlier request
 * of the same session left set; `readonly` is not among what is set in a session, because it could
 * not be taken back (the statement's kind is checked instead).
 */
export function prelude(
  request: StatementRequest,
  options: { mark: string; queryMemoryBytes: number; session?: { applied: ReadonlySet<string> } },
): Prelude {
  const wanted = new Map<string, string>(serverDefaults);
  for (const [name, value] of request.settings) wanted.set(name, value);
  wanted.set(
    'max_memory_usage',
    boundedMemory(request.settings.get('max_memory_usage'), options.queryMemoryBytes),
  );
  const comment = request.settings.get('log_comment');
  wanted.set('log_comment', comment ? `${options.mark} ${comment}` : options.mark);
  wanted.delete('readonly');
  const names = new Set(wanted.keys());
  const sets: string[] = [];
  for (const name of options.session?.applied ?? []) if (!names.has(name)) sets.push(`${name}=DEFAULT`);
  for (const [name, value] of wanted) sets.push(`${name}=${quoteString(value)}`);
  for (const [name, value] of request.parameters) sets.push(`param_${name}=${quoteString(value)}`);
  let sql = `SET ${sets.join(', ')}; `;
  if (request.database !== undefined) sql += `USE ${quoteIdentifier(request.database)}; `;
  // Last, because it forbids what stands before it. 2: settings may change, data may not.
  const readOnly = request.settings.get('readonly') ?? (request.readOnly ? '2' : '0');
  if (options.session === undefined && readOnly !== '0') sql += `SET readonly=${quoteString(readOnly)}; `;
  return { sql, names };
}

export function isReadOnly(request: StatementRequest): boolean {
  return request.readOnly || (request.settings.get('readonly') ?? '0') !== '0';
}

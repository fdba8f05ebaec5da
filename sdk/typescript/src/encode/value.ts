import { wireLimits } from '../limits.js';

/** What becomes of a field that is not a plain number. */
export type AttributeText =
  | string
  /** Null or undefined: the field is left out. */
  | undefined;

/** Thrown by `attributeText`, and by nothing else, for a value that has no text. */
export class UnencodableValue extends Error {
  override readonly name = 'UnencodableValue';
}

/** Thrown by `attributeText` for a list that alone is larger than an event may be. */
export class OversizedValue extends Error {
  override readonly name = 'OversizedValue';
}

/** Every element of a list takes at least a digit and a comma. */
const maxElements = wireLimits.eventBytes / 2;

/**
 * The text of a value for the attributes. Runs the caller's own code (getters, toJSON), so it may throw
 * anything.
 */
export function attributeText(value: unknown): AttributeText {
  switch (typeof value) {
    case 'string':
      return value;
    case 'boolean':
      return value ? 'true' : 'false';
    case 'bigint':
      return value.toString();
    case 'undefined':
      return undefined;
    case 'object':
      return value === null ? undefined : objectText(value);
    default:
      throw new UnencodableValue(`a ${typeof value} has no text`);
  }
}

function objectText(value: object): AttributeText {
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Error) return errorText(value);
  const list = asList(value);
  if (list === undefined) return JSON.stringify(value, jsonValue);
  return list.every(isPlain) ? JSON.stringify(list) : JSON.stringify(list, jsonValue);
}

export function errorText(error: Error): string {
  const { stack } = error;
  return typeof stack === 'string' && stack !== '' ? stack : `${error.name}: ${error.message}`;
}

/** For JSON.stringify: what it would refuse or empty becomes text, a list or an object. */
function jsonValue(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Error) return errorText(value);
  if (value instanceof Map) return Object.fromEntries(value);
  return asList(value) ?? value;
}

function asList(value: object): unknown[] | undefined {
  if (Array.isArray(value)) return checked(value, value.length);
  if (value instanceof Set) return [...checked(value, value.size)];
  if (!ArrayBuffer.isView(value) || value instanceof DataView) return undefined;
  const typed = value as unknown as ArrayLike<unknown>;
  return Array.from(checked(typed, typed.length));
}

/** Before anything is copied: a tensor must not be doubled in memory to be found too large. */
function checked<List>(list: List, length: number): List {
  if (length <= maxElements) return list;
  throw new OversizedValue(`a list of ${length} elements; an event takes ${wireLimits.eventBytes} bytes`);
}

/** What JSON.stringify prints as it stands, without asking about every element. */
function isPlain(value: unknown): boolean {
  return (
    value === null || typeof value === 'number' || typeof value === 'string' || typeof value === 'boolean'
  );
}

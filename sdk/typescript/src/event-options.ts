/** The fields of an event: an object whose own enumerable keys are the fields' names, or an Error. (Not a record
 *  type, because that would refuse values whose type is an interface.) */
export type Fields = object;

/** OpenTelemetry's severity numbers of the four usual levels. */
export const severityNumbers = { debug: 5, info: 9, warn: 13, error: 17 } as const;

export type Severity = keyof typeof severityNumbers | number;

export interface EventOptions {
  /** Training step or request number: whole, within 64 bits. */
  readonly step?: number | bigint | undefined;
  /** When it happened: a Date, milliseconds since 1970 (fractions count), or nanoseconds as a bigint.
   *  Default: now. */
  readonly time?: Date | number | bigint | undefined;
  /** A level, or a severity number from 1 to 24. Default: 9 (INFO), or the level of the method called. */
  readonly severity?: Severity | undefined;
  /** Text for people. What a method of a level was given as its body stands. */
  readonly body?: string | undefined;
  /** 32 hexadecimal digits, or 16 bytes. */
  readonly traceId?: string | Uint8Array | undefined;
  /** 16 hexadecimal digits, or 8 bytes. */
  readonly spanId?: string | Uint8Array | undefined;
}

export const defaultSeverity: number = severityNumbers.info;

/** The severity number, or undefined for something that is none. */
export function severityNumber(severity: unknown): number | undefined {
  if (typeof severity === 'number') {
    return Number.isInteger(severity) && severity >= 1 && severity <= 24 ? severity : undefined;
  }
  if (typeof severity !== 'string' || !Object.hasOwn(severityNumbers, severity)) return undefined;
  return severityNumbers[severity as keyof typeof severityNumbers];
}

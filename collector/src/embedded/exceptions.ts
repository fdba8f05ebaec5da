/**
 * ClickHouse's exceptions: what the store itself raises, how they are written, and which HTTP status
 * each code has.
 */

/** The codes that the store raises itself or looks at; numbers of ClickHouse's `ErrorCodes.cpp`. */
export const exceptionCodes = {
  CANNOT_PARSE_TEXT: 6,
  BAD_ARGUMENTS: 36,
  NOT_IMPLEMENTED: 48,
  SYNTAX_ERROR: 62,
  UNKNOWN_FORMAT: 73,
  FILE_DOESNT_EXIST: 107,
  CANNOT_WRITE_TO_FILE: 294,
  UNKNOWN_SETTING: 115,
  READONLY: 164,
  TOO_MANY_SIMULTANEOUS_QUERIES: 202,
  SOCKET_TIMEOUT: 209,
  NETWORK_ERROR: 210,
  QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING: 216,
  ABORTED: 236,
  NOT_ENOUGH_SPACE: 243,
  INTO_OUTFILE_NOT_ALLOWED: 358,
  SESSION_NOT_FOUND: 372,
  SESSION_IS_LOCKED: 373,
  INVALID_SESSION_TIMEOUT: 374,
  QUERY_WAS_CANCELLED: 394,
  QUERY_IS_TOO_LARGE: 229,
  ACCESS_DENIED: 497,
  AUTHENTICATION_FAILED: 516,
  UNKNOWN_EXCEPTION: 1002,
} as const;

export type ExceptionName = keyof typeof exceptionCodes;

/** An error that ends a request and is told to the client; never a bug of the store. */
export class Exception extends Error {
  readonly exceptionCode: number;

  /** `message` as the client reads it, from `Code:` on, without the version. */
  constructor(exceptionCode: number, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'Exception';
    this.exceptionCode = exceptionCode;
  }
}

/** An exception of the store's own, written the way the engine writes its own. */
export function exception(name: ExceptionName, reason: string, cause?: unknown): Exception {
  const code = exceptionCodes[name];
  return new Exception(code, `Code: ${code}. DB::Exception: ${reason}. (${name})`, { cause });
}

export function exceptionOfCode(code: number, reason: string): Exception {
  const name = (Object.keys(exceptionCodes) as ExceptionName[]).find((key) => exceptionCodes[key] === code);
  return exception(name ?? 'UNKNOWN_EXCEPTION', reason);
}

/**
 * An exception from the engine's message. The engine wraps what a file's reader throws in the same
 * code once more, version and all; the client is to see the inner one once.
 */
export function exceptionOfEngine(message: string): Exception {
  const code = /^Code: (\d+)\./.exec(message)?.[1];
  if (code === undefined) {
    return exception('UNKNOWN_EXCEPTION', message.replace(/\.$/, ''));
  }
  const inner = /^Code: \d+\. DB::Exception: (Code: (\d+)\. .*\)) \(version [^()]*\)\.? \(\w+\)$/s.exec(
    message,
  );
  return new Exception(Number(code), inner?.[2] === code ? inner[1]! : message);
}

// After ClickHouse's `src/Server/HTTP/exceptionCodeToHTTPStatus.cpp`; every other code is 500, also 202
// (too many statements) and 241 (memory), which clients tell by X-ClickHouse-Exception-Code.
const statuses: readonly (readonly [number, readonly number[]])[] = [
  [400, [6, 8, 15, 25, 26, 27, 36, 37, 38, 41, 44, 53, 62, 72, 117, 123, 167, 168, 223, 321, 376, 427, 441]],
  [400, [675, 676]],
  [401, [194]],
  [403, [192, 193, 497, 512, 516]],
  [404, [46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336, 511]],
  [408, [159]],
  [411, [381]],
  [413, [229]],
  [415, [779]],
  [501, [48]],
  [503, [76, 209, 439]],
];
const statusOfCode = new Map(statuses.flatMap(([status, codes]) => codes.map((code) => [code, status])));

export function httpStatusOf(exceptionCode: number): number {
  return statusOfCode.get(exceptionCode) ?? 500;
}

/**
 * Statements that answer with a result, and those that change something without carrying data.
 *
 * 1. A result up to `resultBytes` is held until the statement has ended, so that its status is right
 *    whatever happens. A larger one is sent while it is made, at the pace of the client.
 * 2. Every format leaves as the engine writes it in one piece.
 * 3. When the client goes, its statement goes.
 */

import { pipeline } from 'node:stream';
import { promisify } from 'node:util';
import { createGzip, gzip } from 'node:zlib';
import { chunksOf } from './body.js';
import type { Outcome } from './engine.js';
import { Exception, exception, exceptionCodes } from './exceptions.js';
import type { Execution } from './execution.js';
import { blockInfoRevision, reviseNative } from './native-revision.js';
import { quoteString } from './prelude.js';
import type { Encoding, StatementRequest } from './request.js';
import { StreamedReply, sendException, sendReply } from './response.js';
import { queryIdExpression } from './running.js';
import type { Statement } from './statement.js';

type SelectStatement = Extract<Statement, { kind: 'select' }>;
type SmallStatement = Extract<Statement, { kind: 'show' | 'kill' | 'session' | 'command' }>;

const gzipped = promisify(gzip);
/** Below this a result is not worth compressing. */
const gzipFromBytes = 1024;
/** ClickHouse's own default for HTTP. */
const gzipLevel = 3;

/** Ends the statement when the client goes; resolves when nothing is left to end. */
function killOnAbort(execution: Execution, outcome: Promise<Outcome>): void {
  const { signal, running, mark } = execution;
  const onAbort = (): void => {
    void running.kill(mark, outcome);
  };
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  void outcome.then(() => signal.removeEventListener('abort', onAbort));
}

export async function runSmall(execution: Execution, statement: SmallStatement): Promise<void> {
  const { request, received, connection, response, identity } = execution;
  const sql =
    statement.kind === 'kill'
      ? killSql(received.text, statement)
      : received.text.toString('utf8', 0, statement.end);
  const running = connection.run(execution.prelude + sql, request.defaultFormat);
  if (statement.kind === 'show') killOnAbort(execution, running);
  const outcome = await running;
  if (outcome.ok) await sendBytes(execution, outcome, 'format' in statement ? statement.format : undefined);
  else sendException(response, identity, outcome.exception);
}

function killSql(text: Buffer, statement: Extract<Statement, { kind: 'kill' }>): string {
  let sql = '';
  let at = 0;
  for (const { start, end } of statement.queryIds) {
    sql += text.toString('utf8', at, start) + queryIdExpression;
    at = end;
  }
  return sql + text.toString('utf8', at, statement.end);
}

async function sendBytes(
  execution: Execution,
  outcome: Extract<Outcome, { ok: true }>,
  named: string | undefined,
): Promise<void> {
  const { request, response, identity } = execution;
  const format = named ?? (outcome.bytes.length > 0 ? request.defaultFormat : undefined);
  const bytes = isRevised(request, format) ? await revised(outcome.bytes) : outcome.bytes;
  const compress = request.responseEncoding === 'gzip' && bytes.length >= gzipFromBytes;
  const body = compress ? await gzipped(bytes, { level: gzipLevel }) : bytes;
  sendReply(response, identity, { body, format, encoding: compress ? 'gzip' : undefined, outcome });
}

export async function runSelect(execution: Execution, statement: SelectStatement): Promise<void> {
  const { request, received, connection, pipes, response, identity, limits, signal } = execution;
  const { text } = received;
  const format = statement.format ?? request.defaultFormat;
  // Blocks that are rewritten on the way are compressed here, anything else by the engine.
  const revise = isRevised(request, format);
  const encoding = revise && request.responseEncoding !== 'gzip' ? undefined : request.responseEncoding;
  const pipe = await pipes.open();
  const running = connection.run(
    `${execution.prelude}${text.toString('utf8', 0, statement.output)} ` +
      `INTO OUTFILE ${quoteString(pipe.path)} TRUNCATE ${compressionClause(revise ? undefined : encoding)} FORMAT ${format} ` +
      text.toString('utf8', statement.tail, statement.end),
    format,
  );
  void running.then(() => pipe.finish());
  killOnAbort(execution, running);
  let chunks = chunksOf(pipe.reader);
  if (revise) chunks = reviseNative(chunks);
  // An error before the compression reaches whoever iterates behind it.
  if (revise && encoding === 'gzip') chunks = pipeline(chunks, createGzip({ level: gzipLevel }), () => {});
  const held: Buffer[] = [];
  let heldBytes = 0;
  let streamed: StreamedReply | undefined;
  let failure: Exception | undefined;
  try {
    for await (const chunk of chunks) {
      if (signal.aborted) throw signal.reason;
      if (streamed !== undefined) {
        await streamed.write(chunk);
        continue;
      }
      held.push(chunk);
      heldBytes += chunk.length;
      if (heldBytes <= limits.resultBytes) continue;
      streamed = new StreamedReply(response, identity, { format, encoding, idleMs: limits.requestIdleMs });
      for (const early of held.splice(0)) await streamed.write(early);
    }
  } catch (error) {
    // Either the result cannot be told to this client, or the client is gone: its statement ends.
    if (error instanceof Exception) failure = error;
    else response.destroy();
    pipe.discard();
    if (failure !== undefined) void execution.running.kill(execution.mark, running);
  }
  const outcome = await running;
  pipe.release();
  if (response.destroyed) return;
  failure ??= outcome.ok ? undefined : outcome.exception;
  if (streamed !== undefined) {
    if (failure === undefined) streamed.end();
    else streamed.fail(failure);
    return;
  }
  if (failure === undefined && outcome.ok) {
    sendReply(response, identity, { body: Buffer.concat(held), format, encoding, outcome });
    return;
  }
  if (failure !== undefined && failure.exceptionCode !== exceptionCodes.SYNTAX_ERROR) {
    sendException(response, identity, failure);
    return;
  }
  // The engine parsed a statement with an output clause in it and would quote that; asked for the
  // client's own words it says the same of those.
  const again = connection.run(execution.prelude + text.toString('utf8', 0, statement.end), format);
  killOnAbort(execution, again);
  const original = await again;
  if (original.ok) await sendBytes(execution, original, format);
  else sendException(response, identity, original.exception);
}

function isRevised(request: StatementRequest, format: string | undefined): boolean {
  return format === 'Native' && request.protocolVersion >= blockInfoRevision;
}

async function revised(bytes: Buffer): Promise<Buffer> {
  const pieces: Buffer[] = [];
  async function* whole(): AsyncGenerator<Buffer, void, undefined> {
    yield bytes;
  }
  for await (const piece of reviseNative(whole())) pieces.push(piece);
  return Buffer.concat(pieces);
}

function compressionClause(encoding: Encoding | undefined): string {
  if (encoding === undefined) return "COMPRESSION 'none'";
  return `COMPRESSION ${quoteString(encoding)}${encoding === 'gzip' ? ` LEVEL ${gzipLevel}` : ''}`;
}

/** For the caller's catch: what a client is told of an error that nobody expected. */
export function unexpected(error: unknown): Exception {
  if (error instanceof Exception) return error;
  return exception('UNKNOWN_EXCEPTION', `The embedded store failed: ${(error as Error).message}`, error);
}

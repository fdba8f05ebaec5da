/**
 * One HTTP request from its first byte to its answer.
 *
 * 1. Nothing of a request reaches the engine before its whole body is there.
 * 2. Bodies are read before a statement asks to be admitted: a slow upload holds no place.
 * 3. Whatever fails is told to the client as an exception of ClickHouse's, and ends this request only.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Admission } from './admission.js';
import { bodyOf, type Decoder, type ReceivedStatement, receive, receiveHanded } from './body.js';
import type { Engine } from './engine.js';
import { exception, exceptionOfCode } from './exceptions.js';
import type { Execution } from './execution.js';
import { readForm } from './form.js';
import { type HandedBodies, handoverPath } from './handed-body.js';
import { runInsert, runInsertSelect } from './insert.js';
import { isReadOnly, prelude } from './prelude.js';
import { runSelect, runSmall, unexpected } from './read.js';
import { authenticate, type Encoding, parseRequest, type StatementRequest } from './request.js';
import { type Identity, sendException } from './response.js';
import type { ResultPipes } from './result-pipe.js';
import type { Running } from './running.js';
import type { Sessions } from './sessions.js';
import type { Spool } from './spool.js';

export interface HandlerParts {
  readonly engine: Engine;
  readonly sessions: Sessions;
  readonly running: Running;
  readonly pipes: ResultPipes;
  readonly spool: Spool;
  readonly handed: HandedBodies;
  readonly admission: Admission;
  readonly decode: Decoder;
  readonly limits: Execution['limits'];
  readonly log: { warn(obj: object, msg: string): void };
  /** Of every statement that waits or runs; aborted when the store stops and waits no longer. */
  readonly active: Set<AbortController>;
}

export async function handle(
  parts: HandlerParts,
  message: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(message.url ?? '/', 'http://store');
  const method = message.method ?? 'GET';
  if (method !== 'GET' && method !== 'HEAD' && method !== 'POST') {
    sendText(response, 501, `Method ${method} is not served; allowed are GET, HEAD and POST\n`);
    return;
  }
  if (url.pathname === '/ping') return sendText(response, 200, 'Ok.\n');
  if (url.pathname === '/replicas_status') return sendText(response, 200, 'Ok.\n');
  if (url.pathname === handoverPath && method === 'GET') {
    try {
      authenticate(url.searchParams, message.headers);
    } catch (error) {
      return sendException(response, { engine: parts.engine, queryId: '' }, unexpected(error));
    }
    return sendText(response, 200, JSON.stringify(parts.handed.offer));
  }
  if (url.pathname !== '/') {
    const hint =
      'There is no handle for this path. Use / and /ping for health checks, or send queries from your program with POST method or GET method with parameter query';
    return sendText(response, 404, `There is no handle ${url.pathname}\n\n${hint}.\n`);
  }
  if (method !== 'POST' && !url.searchParams.has('query')) return sendText(response, 200, 'Ok.\n');
  let identity: Identity = { engine: parts.engine, queryId: url.searchParams.get('query_id') ?? '' };
  try {
    authenticate(url.searchParams, message.headers);
    const isForm = (message.headers['content-type'] ?? '').startsWith('multipart/form-data');
    const fields = isForm
      ? await readForm(whole(parts, message, undefined), message, parts.limits.queryBytes)
      : undefined;
    const request = parseRequest({
      method,
      parameters: url.searchParams,
      headers: message.headers,
      ...(fields === undefined ? {} : { fields }),
    });
    identity = { engine: parts.engine, queryId: request.queryId };
    const body = isForm ? emptyBody() : whole(parts, message, request.requestEncoding);
    const received =
      request.handedBody === undefined
        ? await receive(request, body, { spool: parts.spool, queryBytes: parts.limits.queryBytes })
        : await receiveHanded(request, body, { name: request.handedBody, bodies: parts.handed });
    try {
      await execute(parts, { request, received, response, identity });
    } finally {
      await received.data?.remove();
    }
  } catch (error) {
    const told = unexpected(error);
    if (told !== error && !response.destroyed)
      parts.log.warn({ err: error, queryId: identity.queryId }, 'a request failed');
    sendException(response, identity, told);
  }
}

function whole(
  parts: HandlerParts,
  message: IncomingMessage,
  encoding: Encoding | undefined,
): AsyncIterable<Buffer> {
  return bodyOf(message, encoding, { idleMs: parts.limits.requestIdleMs, decode: parts.decode });
}

async function* emptyBody(): AsyncGenerator<Buffer, void, undefined> {}

function sendText(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, {
    'Content-Type': 'text/html; charset=UTF-8',
    'Content-Length': Buffer.byteLength(text),
  });
  response.end(text);
}

const readingKinds = new Set(['select', 'show', 'session', 'empty', 'refused']);

async function execute(
  parts: HandlerParts,
  statement: {
    request: StatementRequest;
    received: ReceivedStatement;
    response: ServerResponse;
    identity: Identity;
  },
): Promise<void> {
  const { request, received, response, identity } = statement;
  const { kind } = received.statement;
  if (received.statement.kind === 'empty')
    throw exception('SYNTAX_ERROR', 'Syntax error: failed at position 1 (end of query): Empty query');
  if (received.statement.kind === 'refused')
    throw exceptionOfCode(received.statement.code, received.statement.reason);
  if (isReadOnly(request) && !readingKinds.has(kind)) {
    const why = request.readOnly
      ? '. For queries over HTTP, method GET implies readonly. You should use method POST for modifying queries'
      : '';
    throw exception('READONLY', `default: Cannot execute query in readonly mode${why}`);
  }
  const gone = new AbortController();
  const onClose = (): void => {
    if (!response.writableFinished) gone.abort(new Error('the client is gone'));
  };
  response.once('close', onClose);
  if (response.destroyed) onClose();
  const { signal } = gone;
  parts.active.add(gone);
  try {
    // A KILL must not wait behind what it is to end.
    const lane = kind === 'insert' || kind === 'insert-select' ? 'insert' : 'read';
    const leave = kind === 'kill' ? () => {} : await parts.admission.enter(lane, signal);
    try {
      const forget = parts.running.register(request.queryId);
      try {
        await onConnection(parts, { ...statement, signal });
      } finally {
        forget();
      }
    } finally {
      leave();
    }
  } finally {
    parts.active.delete(gone);
    response.removeListener('close', onClose);
  }
  if (!response.headersSent && !response.destroyed) {
    throw exception(
      'UNKNOWN_EXCEPTION',
      `No answer was made for a statement of kind ${kind} (query_id ${identity.queryId})`,
    );
  }
}

async function onConnection(
  parts: HandlerParts,
  statement: {
    request: StatementRequest;
    received: ReceivedStatement;
    response: ServerResponse;
    identity: Identity;
    signal: AbortSignal;
  },
): Promise<void> {
  const { request, received } = statement;
  const lease = parts.sessions.lease(request.session);
  try {
    const mark = request.queryId.replaceAll(' ', '_');
    const { session } = lease;
    const said = prelude(request, {
      mark,
      queryMemoryBytes: parts.limits.queryMemoryBytes,
      ...(session === undefined ? {} : { session }),
    });
    const back = session?.database && request.database === undefined ? 'USE default; ' : '';
    lease.remember(said.names, request.database !== undefined);
    await dispatch(
      {
        ...statement,
        connection: lease.connection,
        prelude: said.sql + back,
        mark,
        running: parts.running,
        pipes: parts.pipes,
        limits: parts.limits,
      },
      received,
    );
  } finally {
    await lease.release();
  }
}

function dispatch(execution: Execution, received: ReceivedStatement): Promise<void> {
  const { statement } = received;
  switch (statement.kind) {
    case 'insert':
      return runInsert(execution, statement, received.data!);
    case 'insert-select':
      return runInsertSelect(execution, statement);
    case 'select':
      return runSelect(execution, statement);
    case 'show':
    case 'kill':
    case 'session':
    case 'command':
      return runSmall(execution, statement);
    case 'empty':
    case 'refused':
      throw new Error(`a statement of kind ${statement.kind} is answered before it is run`);
  }
}

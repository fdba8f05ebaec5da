/** One gRPC call by hand over HTTP/2: any headers, any bytes, with or without an end. */
import { type ClientHttp2Session, connect, type IncomingHttpHeaders } from 'node:http2';
import { expectedSequenceKey, paths } from '@sluice/proto';

export interface CallPlan {
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** What is written, one DATA frame (or more, if it is large) for each. */
  readonly writes: readonly Buffer[];
  /** What follows the writes. Default: a half-close. `nothing`: the call stays open until it is answered. */
  readonly end?: 'half-close' | 'nothing' | 'reset' | 'cut';
}

export interface Answer {
  /** Such as "status 3", "http 415", "reset 11", "cut" or "hung". */
  readonly outcome: string;
  readonly details: string;
  readonly expectedSequence: string | undefined;
  readonly body: Buffer;
}

/** Longer than any limit that the scenario sets. */
const answerMs = 20_000;

/** A message with its gRPC prefix. */
export function framed(message: Buffer, flag = 0, length = message.length): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = flag;
  prefix.writeUInt32BE(length, 1);
  return Buffer.concat([prefix, message]);
}

/** Node would end what it holds beyond 10 MB by itself; here the collector is to do it. */
export function openSession(port: number): ClientHttp2Session {
  const session = connect(`http://127.0.0.1:${port}`, { maxSessionMemory: 1000 });
  session.on('error', () => undefined);
  return session;
}

export function hostileCall(session: ClientHttp2Session, plan: CallPlan): Promise<Answer> {
  return new Promise((resolve) => {
    const stream = session.request(
      {
        ':method': 'POST',
        ':path': plan.path ?? paths.log,
        'content-type': 'application/grpc',
        te: 'trailers',
        ...plan.headers,
      },
      { endStream: false },
    );
    const body: Buffer[] = [];
    let headers: IncomingHttpHeaders = {};
    let isHung = false;
    const timer = setTimeout(() => {
      isHung = true;
      stream.destroy();
    }, answerMs);
    stream.on('error', () => undefined);
    stream.on('response', (received) => {
      headers = { ...headers, ...received };
    });
    stream.on('trailers', (received) => {
      headers = { ...headers, ...received };
    });
    stream.on('data', (chunk: Buffer) => body.push(chunk));
    stream.on('close', () => {
      clearTimeout(timer);
      resolve({
        outcome: isHung ? 'hung' : outcomeOf(headers, stream.rstCode, plan.end),
        details: decodeURI(String(headers['grpc-message'] ?? '')),
        expectedSequence: headers[expectedSequenceKey] as string | undefined,
        body: Buffer.concat(body).subarray(5),
      });
    });
    for (const bytes of plan.writes) stream.write(bytes);
    if (plan.end === undefined || plan.end === 'half-close') stream.end();
    else if (plan.end !== 'nothing') {
      // Once what was written is on its way.
      setTimeout(() => (plan.end === 'reset' ? stream.close(8) : session.destroy()), 2);
    }
  });
}

function outcomeOf(headers: IncomingHttpHeaders, rstCode: number | undefined, end: CallPlan['end']): string {
  if (headers['grpc-status'] !== undefined) return `status ${headers['grpc-status']}`;
  const http = headers[':status'] as unknown as number | undefined;
  if (http !== undefined && http !== 200) return `http ${http}`;
  if (end === 'reset' || end === 'cut') return 'cut';
  return `reset ${rstCode ?? 0}`;
}

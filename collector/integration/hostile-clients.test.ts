/** What clients can make a real collector hold, and that it says so when it refuses them. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { status } from '@grpc/grpc-js';
import { encodeRequest, producerId } from '@sluice/collector/testing/wire.js';
import { paths, retryDelayKey } from '@sluice/proto';
import { type CollectorProcess, RawClient, startCollector, testConfig, until } from './collector-harness.js';
import { newDataDir, removeDataDir } from './embedded-harness.js';

const MiB = 1024 * 1024;
const receive = {
  receivingBytes: 8 * MiB,
  connections: 20,
  calls: 40,
  callIdleMs: 1500,
  messageMs: 1500,
  pressedMessageMs: 300,
  retryDelayMs: 77,
};

let collector: CollectorProcess;
let folder: string;
before(async () => {
  folder = await newDataDir();
  // No store: what is refused or acknowledged here is the log's affair.
  collector = await startCollector(
    testConfig(folder, 'http://127.0.0.1:9', { receive, stop: { callsMs: 100, flushMs: 100 } }),
  );
});
after(async () => {
  await collector.stop();
  await removeDataDir(folder);
});

interface Answer {
  readonly code: number;
  readonly details: string;
  readonly retryDelay: string | undefined;
  readonly rstCode: number;
}

const sessions: ClientHttp2Session[] = [];
function open(): ClientHttp2Session {
  const session = connect(`http://127.0.0.1:${collector.port}`, { maxSessionMemory: 1000 });
  session.on('error', () => undefined);
  sessions.push(session);
  return session;
}
async function closeAll(): Promise<void> {
  // Node 20 hangs when a session is destroyed within the turn in which one of its streams was closed.
  await new Promise((resolve) => setTimeout(resolve, 10));
  for (const session of sessions.splice(0)) session.destroy();
  // The collector learns of it a moment later.
  await new Promise((resolve) => setTimeout(resolve, 100));
}

function call(
  session: ClientHttp2Session,
  path: string = paths.log,
  headers: Record<string, string> = {},
): ClientHttp2Stream {
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  });
  stream.on('error', () => undefined);
  return stream;
}

function answerOf(stream: ClientHttp2Stream): Promise<Answer> {
  return new Promise((resolve) => {
    let headers: Record<string, unknown> = {};
    stream.on('response', (received) => {
      headers = { ...headers, ...received };
    });
    stream.on('trailers', (received) => {
      headers = { ...headers, ...received };
    });
    stream.resume();
    stream.on('close', () =>
      resolve({
        code: Number(headers['grpc-status'] ?? -1),
        details: decodeURI(String(headers['grpc-message'] ?? '')),
        retryDelay: headers[retryDelayKey] as string | undefined,
        rstCode: stream.rstCode ?? 0,
      }),
    );
  });
}

function framed(message: Buffer, flag = 0, length = message.length): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = flag;
  prefix.writeUInt32BE(length, 1);
  return Buffer.concat([prefix, message]);
}

let producers = 0;
const request = (events: object[] = [{}]): Buffer =>
  encodeRequest({ producer: { id: producerId(++producers) }, first_sequence: '1', events });

function rssMiB(): number {
  const kib = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${collector.pid}/status`, 'utf8'))?.[1];
  return Number(kib) / 1024;
}

async function works(): Promise<void> {
  const client = new RawClient(collector.port);
  const outcome = await client.log([request()]);
  client.close();
  assert.equal(outcome.kind, 'ok', JSON.stringify(outcome));
}

test('incomplete messages beyond the budget are refused with its name and a delay, and others come through', async () => {
  const calmMiB = rssMiB();
  const part = Buffer.concat([framed(Buffer.alloc(0), 0, 15 * MiB), Buffer.alloc(2 * MiB)]);
  const answers = Array.from({ length: 3 }, open).flatMap((session) =>
    Array.from({ length: 10 }, () => {
      const stream = call(session);
      const answer = answerOf(stream);
      stream.write(part);
      return answer;
    }),
  );
  await works();
  const first = await Promise.race(answers);
  assert.equal(first.code, status.RESOURCE_EXHAUSTED, JSON.stringify(first));
  assert.match(first.details, /receive\.(receivingBytes|pressedMessageMs)/);
  assert.equal(first.retryDelay, '77');
  for (const { code } of await Promise.all(answers)) {
    assert.ok(code === status.RESOURCE_EXHAUSTED || code === status.UNAVAILABLE, String(code));
  }
  assert.ok(rssMiB() - calmMiB < 80, `${rssMiB()} MiB, before ${calmMiB}`);
  await closeAll();
});

test('a message that stays incomplete is ended after receive.messageMs', async () => {
  const stream = call(open());
  stream.write(framed(Buffer.from('x'), 0, 1000));
  const { code, details } = await answerOf(stream);
  assert.equal(code, status.UNAVAILABLE);
  assert.match(details, /999 bytes are missing; 1500 ms are allowed \(receive\.messageMs\)/);
  await closeAll();
});

test('a call that carries nothing, or never ends, is ended: Log and LogOnce alike', async () => {
  const session = open();
  const silent = [call(session), call(session, paths.logOnce)];
  const endless = call(session, paths.logOnce);
  endless.write(framed(request()));
  const answers = await Promise.all([...silent, endless].map(answerOf));
  assert.deepEqual(
    answers.map(({ code }) => code),
    [status.UNAVAILABLE, status.UNAVAILABLE, status.UNAVAILABLE],
  );
  await closeAll();
});

test('more calls and more connections than allowed are refused with the name of the limit', async () => {
  const session = open();
  const streams = Array.from({ length: 41 }, () => call(session));
  const tooMany = await Promise.race(streams.map(answerOf));
  assert.equal(tooMany.code, status.RESOURCE_EXHAUSTED);
  assert.match(tooMany.details, /40 calls are open \(receive\.calls\)/);
  assert.equal(tooMany.retryDelay, '77');
  await closeAll();
  for (let connection = 0; connection < 20; connection++) {
    const opened = open();
    await new Promise((resolve) => opened.once('remoteSettings', resolve));
  }
  const last = call(open());
  const refused = await answerOf(last);
  assert.equal(refused.code, status.RESOURCE_EXHAUSTED);
  assert.match(refused.details, /20 connections are open \(receive\.connections\)/);
  await closeAll();
  await until(
    () =>
      works().then(
        () => true,
        () => false,
      ),
    (isOk) => isOk,
  );
});

test('a compressed message is taken; a bomb, garbage and an unknown encoding are refused in words', async () => {
  const session = open();
  const outcome = async (encoding: string, bytes: Buffer): Promise<Answer> => {
    const stream = call(session, paths.log, { 'grpc-encoding': encoding });
    stream.end(framed(bytes, 1));
    return answerOf(stream);
  };
  assert.equal((await outcome('gzip', gzipSync(request()))).code, status.OK);
  const bomb = await outcome('gzip', gzipSync(Buffer.alloc(64 * MiB)));
  assert.equal(bomb.code, status.RESOURCE_EXHAUSTED);
  assert.match(bomb.details, /inflates to more than 16777216 bytes/);
  assert.equal((await outcome('gzip', Buffer.from('garbage'))).code, status.INVALID_ARGUMENT);
  assert.equal((await outcome('snappy', request())).code, status.UNIMPLEMENTED);
  await closeAll();
});

test('thousands of compressed messages in one frame cost little memory', async () => {
  const calmMiB = rssMiB();
  const session = open();
  const answers = Array.from({ length: 20 }, () => {
    const stream = call(session, paths.log, { 'grpc-encoding': 'gzip' });
    stream.write(Buffer.concat(Array.from({ length: 3200 }, () => framed(Buffer.alloc(0), 1))));
    return answerOf(stream);
  });
  for (const { code } of await Promise.all(answers)) assert.equal(code, status.INVALID_ARGUMENT);
  assert.ok(rssMiB() - calmMiB < 60, `${rssMiB()} MiB, before ${calmMiB}`);
  await closeAll();
});

test('a call that is half-closed within a message is refused, and what came before it stays', async () => {
  const stream = call(open());
  stream.end(Buffer.concat([framed(request()), Buffer.from([0, 0, 0])]));
  const { code, details } = await answerOf(stream);
  assert.equal(code, status.INVALID_ARGUMENT);
  assert.match(details, /half-closed within a message/);
  await closeAll();
});

test('a message in frames of one byte is taken, and many messages in one frame too', async () => {
  const session = open();
  const slow = call(session);
  const answer = answerOf(slow);
  for (const byte of framed(request())) slow.write(Buffer.from([byte]));
  slow.end();
  assert.equal((await answer).code, status.OK);
  const id = producerId(++producers);
  const many = call(session);
  many.end(
    Buffer.concat(
      Array.from({ length: 200 }, (_, index) =>
        framed(encodeRequest({ producer: { id }, first_sequence: String(index + 1), events: [{}] })),
      ),
    ),
  );
  assert.equal((await answerOf(many)).code, status.OK);
  await closeAll();
});

test('headers beyond receive.headerBytes are refused, and an unknown path does not keep its stream', async () => {
  const session = open();
  const large = Object.fromEntries(
    Array.from({ length: 20 }, (_, index) => [`x-${index}`, 'y'.repeat(1500)]),
  );
  // A client that has not yet acknowledged the limit, and one that has.
  const early = await answerOf(call(session, paths.log, large));
  assert.equal(early.code, status.RESOURCE_EXHAUSTED);
  assert.match(early.details, /receive\.headerBytes/);
  const late = await answerOf(call(session, paths.log, large));
  assert.equal(late.rstCode, constants.NGHTTP2_ENHANCE_YOUR_CALM);
  const unknown = call(session, '/nowhere');
  unknown.write(Buffer.alloc(MiB));
  assert.equal((await answerOf(unknown)).code, status.UNIMPLEMENTED);
  await closeAll();
});

test('a client that speaks no HTTP/2 is cut off, and the collector goes on', async () => {
  const socket = connectSocket(collector.port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await new Promise((resolve) => socket.resume().once('close', resolve));
  await works();
});

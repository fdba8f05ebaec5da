/** A real gRPC server over a log in memory, whose disk can be stopped. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:http2';
import { afterEach, beforeEach, test } from 'node:test';
import { Client, type ClientWritableStream, credentials, Metadata } from '@grpc/grpc-js';
import { paths } from '@sluice/proto';
import { innerLimits, messageLimits, type ReceiveLimits, receiveLimits, walLimits } from '../limits.js';
import { MemoryStorage } from '../testing/memory-storage.js';
import { decodeResponse, encodeRequest, producerId } from '../testing/wire.js';
import { Uuid7Source } from '../uuid7.js';
import { WriteAheadLog } from '../wal/log.js';
import { GrpcServer } from './grpc-server.js';

const quiet = { warn: () => undefined, info: () => undefined };
const identity = (bytes: Buffer): Buffer => bytes;
const mebibyte = 1024 * 1024;

let storage: MemoryStorage;
let log: WriteAheadLog;
let server: GrpcServer;
let port: number;
let client: Client;

async function open(limits: Partial<ReceiveLimits> = {}): Promise<void> {
  server = new GrpcServer({
    log,
    address: '127.0.0.1:0',
    messageLimits,
    limits: { ...receiveLimits, ...limits },
    now: Date.now,
    notices: quiet,
  });
  port = await server.start();
  client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
}

beforeEach(async () => {
  storage = new MemoryStorage();
  log = new WriteAheadLog({
    storage,
    limits: walLimits,
    now: Date.now,
    monotonic: () => performance.now(),
    makeIds: (floor) => new Uuid7Source(Date.now, floor),
    onSealed: () => undefined,
    log: quiet,
  });
  await log.start();
});
afterEach(async () => {
  client.close();
  await server.stop(100);
  await log.stop();
});

test('the HTTP/2 windows of the server are raised, for streams and for the connection', async () => {
  await open();
  const session = connect(`http://127.0.0.1:${port}`);
  const [settings] = (await once(session, 'remoteSettings')) as [{ initialWindowSize: number }];
  assert.equal(settings.initialWindowSize, receiveLimits.streamWindowBytes);
  const deadline = Date.now() + 60_000;
  while (
    (session.state.remoteWindowSize ?? 0) < receiveLimits.connectionWindowBytes &&
    Date.now() < deadline
  ) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.equal(session.state.remoteWindowSize, receiveLimits.connectionWindowBytes);
  session.close();
});

test('while the disk stands still, reading stops before memory fills, and goes on after', async () => {
  const pendingBytes = 4 * mebibyte;
  await open({ pendingBytes });
  let release = (): void => undefined;
  storage.gate = new Promise((resolve) => {
    release = resolve;
  });
  const calls = [1, 2, 3, 4].map((producer) => {
    const answer = new Promise<Buffer>((resolve, reject) => {
      const call = client.makeClientStreamRequest(
        paths.log,
        identity,
        identity,
        new Metadata(),
        (error, bytes) => (error === null ? resolve(bytes as Buffer) : reject(error)),
      );
      for (let index = 0; index < 20; index++) {
        call.write(
          encodeRequest({
            ...(index === 0 ? { producer: { id: producerId(producer) } } : {}),
            first_sequence: String(index + 1),
            events: [{ body: 'x'.repeat(mebibyte - 100) }],
          }),
        );
      }
      call.end();
    });
    return answer;
  });
  let most = 0;
  // Until the log is full, and for a while after.
  for (let look = 0; look < 60; ) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    most = Math.max(most, log.pendingBytes);
    if (most >= pendingBytes) look++;
  }
  assert.ok(
    most <= pendingBytes + 4 * mebibyte,
    `${most} bytes wait although reading should stop at ${pendingBytes}`,
  );
  storage.gate = undefined;
  release();
  for (const answer of await Promise.all(calls)) assert.equal(decodeResponse(answer).durable_sequence, '20');
});

test('of many connections no more is read than may wait for the disk, none is taken for dead, and all comes in after', async (context) => {
  const [pendingBytes, waitingBytes, messageBytes] = [mebibyte, mebibyte, 20_000];
  await open({ pendingBytes, waitingBytes });
  let release = (): void => undefined;
  const session = connect(`http://127.0.0.1:${port}`);
  await once(session, 'remoteSettings');
  const clients = Array.from(
    { length: 400 },
    () =>
      new Client(`127.0.0.1:${port}`, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 }),
  );
  context.after(() => {
    release();
    session.destroy();
    for (const from of clients) from.close();
  });
  const calls = clients.map((from) => {
    let call!: ClientWritableStream<Buffer>;
    const answer = new Promise<Buffer>((resolve, reject) => {
      call = from.makeClientStreamRequest(paths.log, identity, identity, new Metadata(), (error, bytes) =>
        error === null ? resolve(bytes as Buffer) : reject(error),
      );
    });
    return { call, answer };
  });
  for (const [index, { call }] of calls.entries()) {
    call.write(encodeRequest({ producer: { id: producerId(index + 1) }, first_sequence: '1', events: [{}] }));
  }
  // Their handlers read.
  while (calls.some((_, index) => log.appendedOf(producerId(index + 1).toString('latin1')) === 0)) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  storage.gate = new Promise((resolve) => {
    release = resolve;
  });
  for (const { call } of calls) {
    for (let sequence = 2; sequence <= 4; sequence++) {
      call.write(
        encodeRequest({ first_sequence: String(sequence), events: [{ body: 'x'.repeat(messageBytes) }] }),
      );
    }
    call.end();
  }
  let most = 0;
  const look = async (): Promise<void> => {
    await new Promise((resolve) => setTimeout(resolve, 10));
    most = Math.max(most, server.heldBytes);
  };
  while (most <= waitingBytes) await look();
  // Before connections are read in turn, which lets the rest come.
  const endMs = performance.now() + innerLimits.receive.valveReadsAfterMs / 2;
  while (performance.now() < endMs) await look();
  // Of 24 MB that are sent, and of 19 that flow control lets come: a connection that was read has one message waiting, and
  // has brought its others too.
  const mostBytes = 10 * mebibyte;
  assert.ok(most <= mostBytes, `${most} bytes are held; ${mostBytes} are expected at most`);
  await new Promise<void>((resolve, reject) => {
    session.ping((error) => (error === null ? resolve() : reject(error)));
  });
  storage.gate = undefined;
  release();
  for (const { answer } of calls) assert.equal(decodeResponse(await answer).durable_sequence, '4');
  assert.equal(server.heldBytes, 0);
});

test('what a refused call holds is given back with its refusal, so that others are read again', async (context) => {
  await open({ waitingBytes: 1000 });
  const session = connect(`http://127.0.0.1:${port}`);
  context.after(() => session.destroy());
  const stream = session.request({
    ':method': 'POST',
    ':path': paths.log,
    'content-type': 'application/grpc',
    'grpc-encoding': 'gzip',
    te: 'trailers',
  });
  stream.on('error', () => undefined);
  const compressed = 1;
  const prefix = Buffer.from([compressed, 0, 0, 0, 0]);
  const broken = Buffer.alloc(100_000, 'not gzip');
  prefix.writeUInt32BE(broken.length, 1);
  // It stays open: only the answer tells that the call is over.
  stream.write(Buffer.concat([prefix, broken]));
  const [headers] = (await once(stream, 'response')) as [Record<string, string>];
  assert.equal(headers['grpc-status'], '3');
  assert.equal(server.heldBytes, 0);
});

test('a call that carries nothing for too long is ended, and what it brought stays', async () => {
  await open({ callIdleMs: 500 });
  const error = await new Promise<{ code: number; details: string }>((resolve) => {
    const call = client.makeClientStreamRequest(paths.log, identity, identity, new Metadata(), (failure) =>
      resolve(failure as { code: number; details: string }),
    );
    call.write(encodeRequest({ producer: { id: producerId(1) }, first_sequence: '1', events: [{}] }));
  });
  assert.equal(error.code, 14);
  assert.match(error.details, /carried nothing for 500 ms/);
  assert.equal(server.openCalls, 0);
  assert.equal(log.durableOf(producerId(1).toString('latin1')), 1);
});

test('a call during which the log fails is refused, although later requests of it could be written', async () => {
  await open();
  const answer = new Promise<{ code: number }>((resolve) => {
    const call = client.makeClientStreamRequest(paths.log, identity, identity, new Metadata(), (failure) =>
      resolve(failure as { code: number }),
    );
    let failures = 1;
    storage.fail = (operation) => (operation === 'sync' && failures-- > 0 ? new Error('EIO') : undefined);
    call.write(encodeRequest({ producer: { id: producerId(1) }, first_sequence: '1', events: [{}] }));
    setTimeout(() => {
      call.write(encodeRequest({ first_sequence: '2', events: [{}] }));
      call.end();
    }, 300);
  });
  assert.equal((await answer).code, 14);
  assert.equal(log.durableOf(producerId(1).toString('latin1')), 0);
});

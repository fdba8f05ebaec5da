/** Over sessions and sockets that are stood in for: Node's own cannot be told when to block. */
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { Http2Server, ServerHttp2Session } from 'node:http2';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { Server } from '@grpc/grpc-js';
import { innerLimits, receiveLimits } from '../limits.js';
import { Connections } from './connections.js';

const { readAtOnce } = innerLimits.receive;

/** A socket that is read, or not. */
class Handle {
  isRead = true;
  reads = 0;
  writeQueueSize = 0;

  readStart(): number {
    this.isRead = true;
    this.reads++;
    return 0;
  }

  readStop(): number {
    this.isRead = false;
    return 0;
  }
}

class Session extends EventEmitter {
  readonly handle = new Handle();
  readonly socket = { _handle: this.handle };
  setLocalWindowSize(): void {}
}

function open() {
  const http2Server = new EventEmitter() as EventEmitter & { maxConnections?: number };
  const connections = new Connections(receiveLimits, { warn: () => undefined });
  connections.prepare({
    commonServerOptions: {},
    http2Servers: new Map([[http2Server as unknown as Http2Server, undefined]]),
  } as unknown as Server);
  connections.attach(() => undefined);
  const connect = (): Session => {
    const session = new Session();
    http2Server.emit('session', session as unknown as ServerHttp2Session);
    return session;
  };
  return { connections, connect };
}

test('reading is stopped and started for all that are open', () => {
  const { connections, connect } = open();
  const [first, second] = [connect(), connect()];
  connections.stopReading();
  assert.deepEqual([first.handle.isRead, second.handle.isRead], [false, false]);
  second.emit('close');
  connections.startReading();
  assert.deepEqual([first.handle.isRead, second.handle.isRead], [true, false]);
});

test('a connection whose client does not take its answers is read only when it has', () => {
  const { connections, connect } = open();
  const { handle } = connect();
  connections.stopReading();
  handle.writeQueueSize = 1000;
  connections.startReading();
  connections.sweep();
  connections.sweep();
  assert.equal(handle.reads, 0);
  handle.writeQueueSize = 0;
  connections.sweep();
  connections.sweep();
  assert.deepEqual([handle.isRead, handle.reads], [true, 1]);
});

test('what was left unread is not read while reading is stopped again', () => {
  const { connections, connect } = open();
  const { handle } = connect();
  connections.stopReading();
  handle.writeQueueSize = 1000;
  connections.startReading();
  connections.stopReading();
  handle.writeQueueSize = 0;
  connections.sweep();
  assert.equal(handle.isRead, false);
  connections.startReading();
  assert.equal(handle.isRead, true);
});

test('while reading is stopped each connection has its turn, for one read', async () => {
  const { connections, connect } = open();
  const handles = Array.from({ length: 2 * readAtOnce }, () => connect().handle);
  connections.stopReading();
  for (let time = 1; time <= 4; time++) {
    connections.readNext();
    assert.equal(handles.filter(({ isRead }) => isRead).length, readAtOnce);
    await turn();
    assert.ok(handles.every(({ isRead }) => !isRead));
  }
  assert.ok(handles.every(({ reads }) => reads === 2));
});

test('a connection that is made while reading is stopped is read for its handshake, and then stopped', async () => {
  const { connections, connect } = open();
  connections.stopReading();
  const { handle } = connect();
  assert.equal(handle.isRead, true);
  await turn();
  await turn();
  await turn();
  assert.equal(handle.isRead, false);
  connections.startReading();
  assert.equal(handle.isRead, true);
});

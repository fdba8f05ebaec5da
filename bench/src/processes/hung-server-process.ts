/**
 * A collector that hangs: a real HTTP/2 server that takes connections and calls, and never reads a byte of
 * them. The client's windows fill (64 KiB), and its call makes no progress and gets no answer. A listener
 * that says nothing at all would not hang a call: gRPC would still be connecting.
 */
import { createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { ownUsage } from '../measure/usage.js';
import type { HungServerCalls } from './protocol.js';
import { serve } from './serve.js';

const server = createServer();
// A stream that nobody reads is never given more window.
server.on('stream', (stream) => stream.on('error', () => {}));

const calls: HungServerCalls = {
  start: () =>
    new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', () => {
        resolve({ endpoint: `127.0.0.1:${(server.address() as AddressInfo).port}` });
      });
    }),
  usage: async () => ownUsage(),
  async stop() {
    server.close();
  },
};
serve(calls);

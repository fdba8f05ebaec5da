/** Ports that a process can have again after it was killed. */
import { createServer } from 'node:net';

/** Below the range from which the system takes the ports of outgoing connections, which could take it meanwhile. */
const range = { first: 20_000, last: 31_999 } as const;
let next = range.first + ((process.pid * 37) % (range.last - range.first));

export async function reservePort(): Promise<number> {
  for (let tries = 0; tries < 1000; tries++) {
    const port = next;
    next = next === range.last ? range.first : next + 1;
    if (await isFree(port)) return port;
  }
  throw new Error(`no free port from ${range.first} to ${range.last} in 1000 tries`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

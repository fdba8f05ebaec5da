/** A port that stays the same while workers come and go: each of them binds it anew, the last one lets it go. */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { SluiceError } from '../errors.js';

/** The address with a port that is free now in place of port 0; any other as it is. */
export async function fixedAddress(address: string): Promise<string> {
  const [, host = '', port] = /^(.*):(\d+)$/.exec(address) ?? [];
  if (Number(port) !== 0) return address;
  const server = createServer();
  try {
    server.listen({ host: host.replace(/^\[(.*)\]$/, '$1'), port: 0 });
    await once(server, 'listening');
  } catch (cause) {
    throw new SluiceError(
      'configuration',
      `the gRPC address ${address} cannot be listened on: ${(cause as Error).message}; set --grpc HOST:PORT`,
      { cause },
    );
  }
  const free = (server.address() as AddressInfo).port;
  server.close();
  await once(server, 'close');
  return `${host}:${free}`;
}

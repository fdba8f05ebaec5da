/** Where the collector is, as gRPC wants it. */
export interface Endpoint {
  readonly target: string;
  readonly tls: boolean;
}

const defaultPort = 4317;
/** Names that gRPC resolves by itself. */
const grpcSchemes = /^(dns|unix|unix-abstract|ipv4|ipv6):/;

/**
 * Reads `host:port`, `host` (port 4317), `http://host:port`, `https://host:port` (TLS) or a gRPC
 * target such as `unix:/run/sluice.sock`. Undefined if it is none of these, such as a port alone.
 */
export function parseEndpoint(text: string): Endpoint | undefined {
  const trimmed = text.trim();
  if (trimmed === '' || /\s/.test(trimmed)) return undefined;
  if (grpcSchemes.test(trimmed)) return { target: trimmed, tls: false };
  // As it is written: a URL would take a port alone for an address such as 0.0.16.221, and read on where no host is.
  const host = /^(?:https?:\/\/)?([^/:@]*)/i.exec(trimmed)?.[1] ?? '';
  if (/^\d*$/.test(host)) return undefined;
  const withScheme = trimmed.includes('://') ? trimmed : `http://${trimmed}`;
  let url: URL;
  try {
    url = new URL(withScheme);
  } catch {
    return undefined;
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return undefined;
  if (url.hostname === '' || url.username !== '' || url.password !== '') return undefined;
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '') return undefined;
  // URL drops a port that is the scheme's own, so it has to be read from the text.
  const port = url.port !== '' ? url.port : /:(80|443)\/?$/.exec(trimmed)?.[1];
  return { target: `${url.hostname}:${port ?? defaultPort}`, tls: url.protocol === 'https:' };
}

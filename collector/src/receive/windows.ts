/**
 * Raises the HTTP/2 windows of a grpc-js server. grpc-js passes no window setting on to its servers
 * (1.14 ignores `grpc-node.flow_control_window` there), so uploads would run on windows of 64 KB. It
 * keeps the options and the servers in fields that are not part of its interface; the version is
 * pinned, a test holds the windows to their size, and where the fields are missing the server works
 * with the small windows and says so.
 */
import type { Http2Server, ServerHttp2Session } from 'node:http2';
import type { Server } from '@grpc/grpc-js';
import type { ReceiveLimits } from '../limits.js';

interface Internals {
  commonServerOptions?: { settings?: Record<string, unknown> };
  http2Servers?: Map<Http2Server, unknown>;
}

/** Sets the streams' windows before the server is bound; call what it returns right after. */
export function widenWindows(
  server: Server,
  limits: ReceiveLimits,
  notices: { warn(fields: object, message: string): void },
): () => void {
  const internals = server as unknown as Internals;
  const options = internals.commonServerOptions;
  if (options === undefined || internals.http2Servers === undefined) {
    notices.warn({}, 'grpc-js does not let its HTTP/2 windows be raised; uploads are slower');
    return () => undefined;
  }
  options.settings = { ...options.settings, initialWindowSize: limits.streamWindowBytes };
  return () => {
    for (const http2Server of internals.http2Servers?.keys() ?? []) {
      http2Server.on('session', (session: ServerHttp2Session) =>
        session.setLocalWindowSize(limits.connectionWindowBytes),
      );
    }
  };
}

import type { CallFailure } from './transport.js';

/** gRPC's status codes that mean something to a producer (grpc.io/docs/guides/status-codes). */
export const grpcStatus = {
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
} as const;

/** What a failed call asks for. */
export type Reaction =
  | 'retry' // again after a growing delay
  | 'retry-slowly' // nothing will change soon; someone has to repair it
  | 'wait' // again after the delay that the collector named
  | 'rewind' // again from the sequence that the collector named
  | 'isolate-refused' // one request is refused for good: find it
  | 'isolate-exhausted'; // one request may be too large: find it

export function reactionTo(failure: CallFailure): Reaction {
  switch (failure.code) {
    case grpcStatus.FAILED_PRECONDITION:
      return failure.expectedSequence === undefined ? 'retry' : 'rewind';
    case grpcStatus.INVALID_ARGUMENT:
      return 'isolate-refused';
    case grpcStatus.RESOURCE_EXHAUSTED:
      return failure.retryDelayMs === undefined ? 'isolate-exhausted' : 'wait';
    case grpcStatus.UNIMPLEMENTED:
    case grpcStatus.UNAUTHENTICATED:
    case grpcStatus.PERMISSION_DENIED:
      return 'retry-slowly';
    default:
      return 'retry';
  }
}

/**
 * The failure for people. Nothing is decided by gRPC's words, which change; they only choose what is said in front of
 * them. "Protocol error" is how it puts, in its versions so far, that an answer is no HTTP/2.
 */
export function inWords({ code, message }: CallFailure, endpoint: string): string {
  const isNoHttp2 = code === grpcStatus.UNAVAILABLE && message.includes('Protocol error');
  if (!isNoHttp2 && code !== grpcStatus.UNIMPLEMENTED) return message;
  const what = isNoHttp2 ? 'does not speak gRPC' : "speaks gRPC, but not Sluice's";
  return `what answers at ${endpoint} ${what}: it is no Sluice collector; check the host, the port (a collector's is 4317 unless it was told another; 8123 is ClickHouse's), and http:// or https:// (${message})`;
}

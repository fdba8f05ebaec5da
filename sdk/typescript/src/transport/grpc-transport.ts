import * as grpc from '@grpc/grpc-js';
import { expectedSequenceKey, paths, retryDelayKey } from '@sluice/proto';
import type { Endpoint } from '../endpoint.js';
import { grpcStatus } from './failure.js';
import { decodeResponse } from './response.js';
import type { Call, CallFailure, CallOutcome, Transport } from './transport.js';

const identity = (bytes: Buffer): Buffer => bytes;

/** gRPC's own retries would hold copies of everything and hide what happened; the delivery does that. */
const channelOptions: grpc.ChannelOptions = {
  'grpc.enable_retries': 0,
  // Nobody asks a job's process for them, and every call would be counted in four places.
  'grpc.enable_channelz': 0,
  // A job's proxy is for the internet; the collector is next door.
  'grpc.enable_http_proxy': 0,
  'grpc.service_config_disable_resolution': 1,
  // A logger's connection is its own: dropping it when it hangs must not touch another's.
  'grpc.use_local_subchannel_pool': 1,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 5000,
  // A peer that vanished without a word is noticed while a call waits for it.
  'grpc.keepalive_time_ms': 20_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.keepalive_permit_without_calls': 0,
};

/** Calls over @grpc/grpc-js. An idle connection does not keep the process alive; an open call does. */
export class GrpcTransport implements Transport {
  readonly #endpoint: Endpoint;
  #client: grpc.Client | undefined;

  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint;
  }

  open(ended: (outcome: CallOutcome) => void): Call {
    let isOver = false;
    const end = (outcome: CallOutcome): void => {
      if (isOver) return;
      isOver = true;
      ended(outcome);
    };
    this.#client ??= this.#connect();
    const call = this.#client.makeClientStreamRequest<Buffer, Buffer>(
      paths.log,
      identity,
      identity,
      (error, response) => end(outcomeOf(error, response)),
    );
    // Without a listener, a write after the call's end would be thrown at the job.
    call.on('error', () => undefined);
    return {
      write: (message, written) => {
        if (!isOver) call.write(message, () => !isOver && written());
      },
      halfClose: () => {
        call.end();
      },
      cancel: () => {
        isOver = true;
        call.cancel();
      },
    };
  }

  disconnect(): void {
    this.#client?.close();
    this.#client = undefined;
  }

  #connect(): grpc.Client {
    const { target, tls } = this.#endpoint;
    const credentials = tls ? grpc.credentials.createSsl() : grpc.credentials.createInsecure();
    return new grpc.Client(target, credentials, channelOptions);
  }
}

function outcomeOf(error: grpc.ServiceError | null, response: Buffer | undefined): CallOutcome {
  if (error) return { kind: 'failed', failure: failureOf(error) };
  try {
    return { kind: 'acknowledged', response: decodeResponse(response ?? Buffer.alloc(0)) };
  } catch (cause) {
    const message = `the response cannot be read: ${String(cause)}`;
    return { kind: 'failed', failure: { code: grpcStatus.INTERNAL, message } };
  }
}

function failureOf(error: grpc.ServiceError): CallFailure {
  const expectedSequence = numberIn(error.metadata, expectedSequenceKey);
  const retryDelayMs = numberIn(error.metadata, retryDelayKey);
  return {
    code: error.code ?? grpcStatus.UNKNOWN,
    message: `${grpc.status[error.code] ?? error.code}: ${error.details ?? error.message}`,
    ...(expectedSequence !== undefined && { expectedSequence }),
    ...(retryDelayMs !== undefined && { retryDelayMs }),
  };
}

function numberIn(metadata: grpc.Metadata | undefined, key: string): number | undefined {
  const value = metadata?.get(key)[0];
  return typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : undefined;
}

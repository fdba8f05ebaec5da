import { loadSync } from '@grpc/proto-loader';
import { type LogResponse__Output, loaderOptions, type Producer__Output, protoPath } from '@sluice/proto';
import type { Acknowledgment } from './transport.js';

type Decode = (bytes: Buffer) => object;
let decode: Decode | undefined;

/** One response a call, a call a second: the library may take its time. */
export function decodeResponse(bytes: Buffer): Acknowledgment {
  decode ??= loadDecoder();
  const response = decode(bytes) as LogResponse__Output;
  const rejections = response.rejections ?? [];
  const [rejection] = rejections;
  return {
    durableSequence: Number(response.durable_sequence),
    duplicates: Number(response.duplicates),
    rejected: rejections.length,
    callAgeMs: response.call_age_ms ?? 0,
    ...(rejection && { rejection: `event ${rejection.sequence}: ${rejection.reason}, ${rejection.detail}` }),
  };
}

/** The producer of an encoded request. As slow as that: for people only. */
export function decodeProducer(request: Buffer): Producer__Output | undefined {
  const { producer } = loadMethod().requestDeserialize(request) as { producer?: Producer__Output | null };
  return producer ?? undefined;
}

/** Reads the contract once a process, when the first response arrives. */
function loadDecoder(): Decode {
  return loadMethod().responseDeserialize;
}

function loadMethod(): { responseDeserialize: Decode; requestDeserialize: Decode } {
  const service = loadSync(protoPath, loaderOptions)['sluice.v1.EventCollector'];
  const { Log: method } = (service ?? {}) as { Log?: ReturnType<typeof loadMethod> };
  if (method === undefined) throw new Error(`${protoPath} has no EventCollector.Log`);
  return method;
}

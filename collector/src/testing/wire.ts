/** Encodes requests with the reflective library, so that tests do not trust the code they test. */

import { loadSync, type MethodDefinition } from '@grpc/proto-loader';
import { type LogRequest, type LogResponse__Output, loaderOptions, protoPath } from '@sluice/proto';
import { parseUuid } from '../uuid7.js';

const service = loadSync(protoPath, loaderOptions)['sluice.v1.EventCollector'] as unknown as Record<
  string,
  MethodDefinition<LogRequest, LogResponse__Output>
>;

export function encodeRequest(request: LogRequest): Buffer {
  return (service['LogOnce'] as MethodDefinition<LogRequest, LogResponse__Output>).requestSerialize(request);
}

export function decodeResponse(bytes: Buffer): LogResponse__Output {
  return (service['LogOnce'] as MethodDefinition<LogRequest, LogResponse__Output>).responseDeserialize(bytes);
}

/** A producer id from a small number. */
export function producerId(number: number): Buffer {
  return parseUuid(`01930000-0000-7000-8000-${number.toString(16).padStart(12, '0')}`);
}

import { loadSync } from '@grpc/proto-loader';
import { loaderOptions, protoPath } from '@sluice/proto';

/** A request as the contract's own decoder sees it; absent fields are absent. */
export interface WireRequest {
  producer?: WireProducer;
  first_sequence?: string;
  events?: WireEvent[];
  blocks?: WireBlock[];
  losses?: WireLoss[];
  flush?: boolean;
}
export interface WireBlock {
  name?: string;
  count?: number;
  sequence_delta?: number[];
  time_delta?: string[];
  step_delta?: string[];
  severity_number?: Buffer;
  body?: Buffer;
  metric_name?: string[];
  metric?: number[];
  attribute_name?: string[];
  attribute?: Buffer;
  trace_id?: Buffer;
  span_id?: Buffer;
}
export interface WireProducer {
  id: Buffer;
  run_id?: string;
  project?: string;
  rank?: number;
  labels?: Record<string, string>;
  [field: string]: unknown;
}
export interface WireEvent {
  time_unix_nano?: string;
  name?: string;
  severity_number?: number;
  body?: string;
  step?: string;
  metrics?: Record<string, number>;
  attributes?: Record<string, string>;
  trace_id?: Buffer;
  span_id?: Buffer;
}
export interface WireLoss {
  first_sequence: string;
  count: string;
  reason: string;
  detail?: string;
  time_unix_nano?: string;
}

interface Method {
  requestDeserialize(bytes: Buffer): object;
  requestSerialize(value: object): Buffer;
  responseSerialize(value: object): Buffer;
}

const contract = loadSync(protoPath, { ...loaderOptions, defaults: false });
export const { Log: logMethod } = contract['sluice.v1.EventCollector'] as unknown as { Log: Method };

/** Decodes a request; throws if it is not valid Protobuf. */
export function decodeRequest(bytes: Uint8Array): WireRequest {
  return logMethod.requestDeserialize(Buffer.from(bytes)) as WireRequest;
}

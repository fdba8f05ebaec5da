import { fileURLToPath } from 'node:url';

export type { ProtoGrpcType } from './generated/collector.js';
export type { Event } from './generated/sluice/v1/Event.js';
export type { LogRequest } from './generated/sluice/v1/LogRequest.js';
export type { LogResponse, LogResponse__Output } from './generated/sluice/v1/LogResponse.js';
export type { Loss } from './generated/sluice/v1/Loss.js';
export type { Producer, Producer__Output } from './generated/sluice/v1/Producer.js';
export type { Rejection__Output } from './generated/sluice/v1/Rejection.js';

/** The service definition, to be read with `@grpc/proto-loader`. */
export const protoPath: string = fileURLToPath(new URL('../sluice/v1/collector.proto', import.meta.url));

/** The options that fit the generated types; keep in step with scripts/generate.mjs. */
export const loaderOptions = { keepCase: true, longs: String, enums: String, defaults: true } as const;

/** Full names of the service's calls, as they stand in a gRPC request path. */
export const paths = {
  log: '/sluice.v1.EventCollector/Log',
  logOnce: '/sluice.v1.EventCollector/LogOnce',
} as const;

/** `LossReason` of the wire, by name in the tables. */
export const lossReasons = [
  'unspecified',
  'buffer_full',
  'too_large',
  'closed',
  'encoding',
  'refused',
  'spool_damaged',
] as const;
export type LossReasonName = (typeof lossReasons)[number];

/** `RejectionReason` of the wire, by name in the tables. */
export const rejectionReasons = [
  'unspecified',
  'event_too_large',
  'name_too_long',
  'key_too_long',
  'key_empty',
  'too_many_keys',
  'invalid_utf8',
  'time_out_of_range',
  'severity_out_of_range',
  'trace_id_length',
  'span_id_length',
] as const;
export type RejectionReasonName = (typeof rejectionReasons)[number];

/** Trailing metadata of a refused call: the sequence to go on from, in decimal. */
export const expectedSequenceKey = 'sluice-expected-sequence';
/** Trailing metadata of a refused call: when to try again, milliseconds in decimal. */
export const retryDelayKey = 'sluice-retry-delay-ms';

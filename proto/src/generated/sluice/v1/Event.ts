// Original file: proto/sluice/v1/collector.proto

import type { Long } from '@grpc/proto-loader';

export interface Event {
  'time_unix_nano'?: (number | string | Long);
  'name'?: (string);
  'severity_number'?: (number);
  'body'?: (string);
  'step'?: (number | string | Long);
  'metrics'?: ({[key: string]: number | string});
  'attributes'?: ({[key: string]: string});
  'trace_id'?: (Buffer | Uint8Array | string);
  'span_id'?: (Buffer | Uint8Array | string);
  '_step'?: "step";
}

export interface Event__Output {
  'time_unix_nano'?: (string);
  'name'?: (string);
  'severity_number'?: (number);
  'body'?: (string);
  'step'?: (string);
  'metrics'?: ({[key: string]: number});
  'attributes'?: ({[key: string]: string});
  'trace_id'?: (Buffer);
  'span_id'?: (Buffer);
}

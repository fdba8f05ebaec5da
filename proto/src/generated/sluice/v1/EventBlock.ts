// Original file: proto/sluice/v1/collector.proto

import type { Long } from '@grpc/proto-loader';

export interface EventBlock {
  'name'?: (string);
  'count'?: (number);
  'sequence_offset'?: (number)[];
  'time_unix_nano'?: (number | string | Long)[];
  'step'?: (number | string | Long)[];
  'severity_number'?: (Buffer | Uint8Array | string);
  'body'?: (Buffer | Uint8Array | string);
  'metric_name'?: (string)[];
  'metric'?: (number | string)[];
  'attribute_name'?: (string)[];
  'attribute'?: (Buffer | Uint8Array | string);
  'trace_id'?: (Buffer | Uint8Array | string);
  'span_id'?: (Buffer | Uint8Array | string);
}

export interface EventBlock__Output {
  'name'?: (string);
  'count'?: (number);
  'sequence_offset'?: (number)[];
  'time_unix_nano'?: (string)[];
  'step'?: (string)[];
  'severity_number'?: (Buffer);
  'body'?: (Buffer);
  'metric_name'?: (string)[];
  'metric'?: (number)[];
  'attribute_name'?: (string)[];
  'attribute'?: (Buffer);
  'trace_id'?: (Buffer);
  'span_id'?: (Buffer);
}

// Original file: proto/sluice/v1/collector.proto

import type { Long } from '@grpc/proto-loader';

export interface EventBlock {
  'name'?: (string);
  'count'?: (number);
  'severity_number'?: (Buffer | Uint8Array | string);
  'body'?: (Buffer | Uint8Array | string);
  'metric_name'?: (string)[];
  'metric'?: (number | string)[];
  'attribute_name'?: (string)[];
  'attribute'?: (Buffer | Uint8Array | string);
  'trace_id'?: (Buffer | Uint8Array | string);
  'span_id'?: (Buffer | Uint8Array | string);
  'sequence_delta'?: (number)[];
  'time_delta'?: (number | string | Long)[];
  'step_delta'?: (number | string | Long)[];
}

export interface EventBlock__Output {
  'name'?: (string);
  'count'?: (number);
  'severity_number'?: (Buffer);
  'body'?: (Buffer);
  'metric_name'?: (string)[];
  'metric'?: (number)[];
  'attribute_name'?: (string)[];
  'attribute'?: (Buffer);
  'trace_id'?: (Buffer);
  'span_id'?: (Buffer);
  'sequence_delta'?: (number)[];
  'time_delta'?: (string)[];
  'step_delta'?: (string)[];
}

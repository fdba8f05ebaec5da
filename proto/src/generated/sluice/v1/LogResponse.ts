// Original file: proto/sluice/v1/collector.proto

import type { Rejection as _sluice_v1_Rejection, Rejection__Output as _sluice_v1_Rejection__Output } from '../../sluice/v1/Rejection.js';
import type { Long } from '@grpc/proto-loader';

export interface LogResponse {
  'durable_sequence'?: (number | string | Long);
  'accepted'?: (number | string | Long);
  'duplicates'?: (number | string | Long);
  'rejections'?: (_sluice_v1_Rejection)[];
  'call_age_ms'?: (number);
}

export interface LogResponse__Output {
  'durable_sequence'?: (string);
  'accepted'?: (string);
  'duplicates'?: (string);
  'rejections'?: (_sluice_v1_Rejection__Output)[];
  'call_age_ms'?: (number);
}

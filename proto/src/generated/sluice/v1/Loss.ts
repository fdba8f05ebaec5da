// Original file: proto/sluice/v1/collector.proto

import type { LossReason as _sluice_v1_LossReason, LossReason__Output as _sluice_v1_LossReason__Output } from '../../sluice/v1/LossReason.js';
import type { Long } from '@grpc/proto-loader';

export interface Loss {
  'first_sequence'?: (number | string | Long);
  'count'?: (number | string | Long);
  'reason'?: (_sluice_v1_LossReason);
  'detail'?: (string);
  'time_unix_nano'?: (number | string | Long);
}

export interface Loss__Output {
  'first_sequence'?: (string);
  'count'?: (string);
  'reason'?: (_sluice_v1_LossReason__Output);
  'detail'?: (string);
  'time_unix_nano'?: (string);
}

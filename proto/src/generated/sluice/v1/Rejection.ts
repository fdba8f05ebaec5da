// Original file: proto/sluice/v1/collector.proto

import type { RejectionReason as _sluice_v1_RejectionReason, RejectionReason__Output as _sluice_v1_RejectionReason__Output } from '../../sluice/v1/RejectionReason.js';
import type { Long } from '@grpc/proto-loader';

export interface Rejection {
  'sequence'?: (number | string | Long);
  'reason'?: (_sluice_v1_RejectionReason);
  'detail'?: (string);
}

export interface Rejection__Output {
  'sequence'?: (string);
  'reason'?: (_sluice_v1_RejectionReason__Output);
  'detail'?: (string);
}

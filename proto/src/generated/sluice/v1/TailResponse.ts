// Original file: proto/sluice/v1/collector.proto

import type { Producer as _sluice_v1_Producer, Producer__Output as _sluice_v1_Producer__Output } from '../../sluice/v1/Producer.js';
import type { Event as _sluice_v1_Event, Event__Output as _sluice_v1_Event__Output } from '../../sluice/v1/Event.js';
import type { Long } from '@grpc/proto-loader';

export interface TailResponse {
  'producer'?: (_sluice_v1_Producer | null);
  'sequence'?: (number | string | Long);
  'event'?: (_sluice_v1_Event | null);
  'skipped'?: (number | string | Long);
}

export interface TailResponse__Output {
  'producer'?: (_sluice_v1_Producer__Output);
  'sequence'?: (string);
  'event'?: (_sluice_v1_Event__Output);
  'skipped'?: (string);
}

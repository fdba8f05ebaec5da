// Original file: proto/sluice/v1/collector.proto

import type { Producer as _sluice_v1_Producer, Producer__Output as _sluice_v1_Producer__Output } from '../../sluice/v1/Producer.js';
import type { Event as _sluice_v1_Event, Event__Output as _sluice_v1_Event__Output } from '../../sluice/v1/Event.js';
import type { EventBlock as _sluice_v1_EventBlock, EventBlock__Output as _sluice_v1_EventBlock__Output } from '../../sluice/v1/EventBlock.js';
import type { Loss as _sluice_v1_Loss, Loss__Output as _sluice_v1_Loss__Output } from '../../sluice/v1/Loss.js';
import type { Long } from '@grpc/proto-loader';

export interface LogRequest {
  'producer'?: (_sluice_v1_Producer | null);
  'first_sequence'?: (number | string | Long);
  'events'?: (_sluice_v1_Event)[];
  'blocks'?: (_sluice_v1_EventBlock)[];
  'losses'?: (_sluice_v1_Loss)[];
  'flush'?: (boolean);
}

export interface LogRequest__Output {
  'producer'?: (_sluice_v1_Producer__Output);
  'first_sequence'?: (string);
  'events'?: (_sluice_v1_Event__Output)[];
  'blocks'?: (_sluice_v1_EventBlock__Output)[];
  'losses'?: (_sluice_v1_Loss__Output)[];
  'flush'?: (boolean);
}

import type * as grpc from '@grpc/grpc-js';
import type { EnumTypeDefinition, MessageTypeDefinition } from '@grpc/proto-loader';

import type { Event as _sluice_v1_Event, Event__Output as _sluice_v1_Event__Output } from './sluice/v1/Event.js';
import type { EventBlock as _sluice_v1_EventBlock, EventBlock__Output as _sluice_v1_EventBlock__Output } from './sluice/v1/EventBlock.js';
import type { EventCollectorClient as _sluice_v1_EventCollectorClient, EventCollectorDefinition as _sluice_v1_EventCollectorDefinition } from './sluice/v1/EventCollector.js';
import type { LogRequest as _sluice_v1_LogRequest, LogRequest__Output as _sluice_v1_LogRequest__Output } from './sluice/v1/LogRequest.js';
import type { LogResponse as _sluice_v1_LogResponse, LogResponse__Output as _sluice_v1_LogResponse__Output } from './sluice/v1/LogResponse.js';
import type { Loss as _sluice_v1_Loss, Loss__Output as _sluice_v1_Loss__Output } from './sluice/v1/Loss.js';
import type { Producer as _sluice_v1_Producer, Producer__Output as _sluice_v1_Producer__Output } from './sluice/v1/Producer.js';
import type { Rejection as _sluice_v1_Rejection, Rejection__Output as _sluice_v1_Rejection__Output } from './sluice/v1/Rejection.js';
import type { TailRequest as _sluice_v1_TailRequest, TailRequest__Output as _sluice_v1_TailRequest__Output } from './sluice/v1/TailRequest.js';
import type { TailResponse as _sluice_v1_TailResponse, TailResponse__Output as _sluice_v1_TailResponse__Output } from './sluice/v1/TailResponse.js';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  sluice: {
    v1: {
      Event: MessageTypeDefinition<_sluice_v1_Event, _sluice_v1_Event__Output>
      EventBlock: MessageTypeDefinition<_sluice_v1_EventBlock, _sluice_v1_EventBlock__Output>
      EventCollector: SubtypeConstructor<typeof grpc.Client, _sluice_v1_EventCollectorClient> & { service: _sluice_v1_EventCollectorDefinition }
      LogRequest: MessageTypeDefinition<_sluice_v1_LogRequest, _sluice_v1_LogRequest__Output>
      LogResponse: MessageTypeDefinition<_sluice_v1_LogResponse, _sluice_v1_LogResponse__Output>
      Loss: MessageTypeDefinition<_sluice_v1_Loss, _sluice_v1_Loss__Output>
      LossReason: EnumTypeDefinition
      Producer: MessageTypeDefinition<_sluice_v1_Producer, _sluice_v1_Producer__Output>
      Rejection: MessageTypeDefinition<_sluice_v1_Rejection, _sluice_v1_Rejection__Output>
      RejectionReason: EnumTypeDefinition
      TailRequest: MessageTypeDefinition<_sluice_v1_TailRequest, _sluice_v1_TailRequest__Output>
      TailResponse: MessageTypeDefinition<_sluice_v1_TailResponse, _sluice_v1_TailResponse__Output>
    }
  }
}


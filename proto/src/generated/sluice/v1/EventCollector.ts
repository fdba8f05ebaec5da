// Original file: proto/sluice/v1/collector.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { LogRequest as _sluice_v1_LogRequest, LogRequest__Output as _sluice_v1_LogRequest__Output } from '../../sluice/v1/LogRequest.js';
import type { LogResponse as _sluice_v1_LogResponse, LogResponse__Output as _sluice_v1_LogResponse__Output } from '../../sluice/v1/LogResponse.js';
import type { TailRequest as _sluice_v1_TailRequest, TailRequest__Output as _sluice_v1_TailRequest__Output } from '../../sluice/v1/TailRequest.js';
import type { TailResponse as _sluice_v1_TailResponse, TailResponse__Output as _sluice_v1_TailResponse__Output } from '../../sluice/v1/TailResponse.js';

export interface EventCollectorClient extends grpc.Client {
  Log(metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_sluice_v1_LogResponse__Output>): grpc.ClientWritableStream<_sluice_v1_LogRequest>;
  Log(metadata: grpc.Metadata, callback: grpc.requestCallback<_sluice_v1_LogResponse__Output>): grpc.ClientWritableStream<_sluice_v1_LogRequest>;
  Log(options: grpc.CallOptions, callback: grpc.requestCallback<_sluice_v1_LogResponse__Output>): grpc.ClientWritableStream<_sluice_v1_LogRequest>;
  Log(callback: grpc.requestCallback<_sluice_v1_LogResponse__Output>): grpc.ClientWritableStream<_sluice_v1_LogRequest>;
  log(metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_sluice_v1_LogResponse__Output>): grpc.ClientWritableStream<_sluice_v1_LogRequest>;
  log(metadata: grpc.Metadata, callback: grpc.requestCallback<_sluice_v1_LogResponse__Output>): grpc.ClientWritableStream<_sluice_v1_LogRequest>;
  log(options: grpc.CallOptions, callback: grpc.requestCallback<_sluice_v1_LogResponse__Output>): grpc.ClientWritableStream<_sluice_v1_LogRequest>;
  log(callback: grpc.requestCallback<_sluice_v1_LogResponse__Output>): grpc.ClientWritableStream<_sluice_v1_LogRequest>;
  
  LogOnce(argument: _sluice_v1_LogRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_sluice_v1_LogResponse__Output>): grpc.ClientUnaryCall;
  LogOnce(argument: _sluice_v1_LogRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_sluice_v1_LogResponse__Output>): grpc.ClientUnaryCall;
  LogOnce(argument: _sluice_v1_LogRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_sluice_v1_LogResponse__Output>): grpc.ClientUnaryCall;
  LogOnce(argument: _sluice_v1_LogRequest, callback: grpc.requestCallback<_sluice_v1_LogResponse__Output>): grpc.ClientUnaryCall;
  logOnce(argument: _sluice_v1_LogRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_sluice_v1_LogResponse__Output>): grpc.ClientUnaryCall;
  logOnce(argument: _sluice_v1_LogRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_sluice_v1_LogResponse__Output>): grpc.ClientUnaryCall;
  logOnce(argument: _sluice_v1_LogRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_sluice_v1_LogResponse__Output>): grpc.ClientUnaryCall;
  logOnce(argument: _sluice_v1_LogRequest, callback: grpc.requestCallback<_sluice_v1_LogResponse__Output>): grpc.ClientUnaryCall;
  
  Tail(argument: _sluice_v1_TailRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_sluice_v1_TailResponse__Output>;
  Tail(argument: _sluice_v1_TailRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_sluice_v1_TailResponse__Output>;
  tail(argument: _sluice_v1_TailRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_sluice_v1_TailResponse__Output>;
  tail(argument: _sluice_v1_TailRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_sluice_v1_TailResponse__Output>;
  
}

export interface EventCollectorHandlers extends grpc.UntypedServiceImplementation {
  Log: grpc.handleClientStreamingCall<_sluice_v1_LogRequest__Output, _sluice_v1_LogResponse>;
  
  LogOnce: grpc.handleUnaryCall<_sluice_v1_LogRequest__Output, _sluice_v1_LogResponse>;
  
  Tail: grpc.handleServerStreamingCall<_sluice_v1_TailRequest__Output, _sluice_v1_TailResponse>;
  
}

export interface EventCollectorDefinition extends grpc.ServiceDefinition {
  Log: MethodDefinition<_sluice_v1_LogRequest, _sluice_v1_LogResponse, _sluice_v1_LogRequest__Output, _sluice_v1_LogResponse__Output>
  LogOnce: MethodDefinition<_sluice_v1_LogRequest, _sluice_v1_LogResponse, _sluice_v1_LogRequest__Output, _sluice_v1_LogResponse__Output>
  Tail: MethodDefinition<_sluice_v1_TailRequest, _sluice_v1_TailResponse, _sluice_v1_TailRequest__Output, _sluice_v1_TailResponse__Output>
}

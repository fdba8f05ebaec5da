// Original file: proto/sluice/v1/collector.proto

import type { Long } from '@grpc/proto-loader';

export interface Producer {
  'id'?: (Buffer | Uint8Array | string);
  'project'?: (string);
  'run_id'?: (string);
  'job'?: (string);
  'host'?: (string);
  'pid'?: (number);
  'rank'?: (number);
  'local_rank'?: (number);
  'world_size'?: (number);
  'attempt'?: (number);
  'sdk_name'?: (string);
  'sdk_version'?: (string);
  'labels'?: ({[key: string]: string});
  'start_time_unix_nano'?: (number | string | Long);
  '_local_rank'?: "local_rank";
  '_world_size'?: "world_size";
}

export interface Producer__Output {
  'id'?: (Buffer);
  'project'?: (string);
  'run_id'?: (string);
  'job'?: (string);
  'host'?: (string);
  'pid'?: (number);
  'rank'?: (number);
  'local_rank'?: (number);
  'world_size'?: (number);
  'attempt'?: (number);
  'sdk_name'?: (string);
  'sdk_version'?: (string);
  'labels'?: ({[key: string]: string});
  'start_time_unix_nano'?: (string);
}

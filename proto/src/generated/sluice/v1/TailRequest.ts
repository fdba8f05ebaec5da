// Original file: proto/sluice/v1/collector.proto


export interface TailRequest {
  'project'?: (string);
  'run_id'?: (string);
  'name'?: (string);
  'min_severity_number'?: (number);
}

export interface TailRequest__Output {
  'project'?: (string);
  'run_id'?: (string);
  'name'?: (string);
  'min_severity_number'?: (number);
}

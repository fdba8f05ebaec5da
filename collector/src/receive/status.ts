/** The one table from a refusal to what gRPC says of it. */
import { Metadata, type ServiceError, type StatusObject, status } from '@grpc/grpc-js';
import { expectedSequenceKey, retryDelayKey } from '@sluice/proto';
import type { Refusal } from './intake.js';

const codes = {
  invalid: status.INVALID_ARGUMENT,
  out_of_sequence: status.FAILED_PRECONDITION,
  too_large: status.RESOURCE_EXHAUSTED,
  overloaded: status.RESOURCE_EXHAUSTED,
  unavailable: status.UNAVAILABLE,
} as const satisfies Record<Refusal['kind'], status>;

export function toStatus(refusal: Refusal): StatusObject & Pick<ServiceError, 'name' | 'message'> {
  const metadata = new Metadata();
  if (refusal.kind === 'out_of_sequence') metadata.set(expectedSequenceKey, String(refusal.expectedSequence));
  if ('retryDelayMs' in refusal) metadata.set(retryDelayKey, String(refusal.retryDelayMs));
  return {
    name: 'Refusal',
    message: refusal.message,
    code: codes[refusal.kind],
    details: refusal.message,
    metadata,
  };
}

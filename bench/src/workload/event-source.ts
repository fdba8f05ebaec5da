/** Where a load's events come from. What crosses to the process that makes them is the description alone. */
import { type TrainingEvent, TrainingEvents } from './training-events.js';
import { readTrainingLog } from './training-log.js';
import { WideEvents } from './wide-events.js';

export type Workload =
  /** Five names with keys of their own. */
  | { readonly kind: 'training' }
  /** So many distinct keys, five to a name. */
  | { readonly kind: 'wide'; readonly keys: number };

export interface EventSource {
  next(): TrainingEvent;
}

export function openSource(workload: Workload): EventSource {
  const sections = readTrainingLog();
  return workload.kind === 'training'
    ? new TrainingEvents(sections)
    : new WideEvents(sections, workload.keys);
}

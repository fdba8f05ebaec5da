/**
 * Question: the same as `ingest` for clients without the SDK, which send plain `Event` messages.
 *
 * Hypothesis: rows cost the collector two to four times as much as blocks, because each field is scanned; they
 * cost the store the same, and the whole way still holds a rate that a fleet of such clients needs.
 *
 * Method: that of `ingest` (ingest.ts), with the SDK told to encode rows (`encoding: 'rows'`). The SDK stands for a
 * client in any language; its own CPU is that of this SDK's row encoder.
 */
import type { Question } from '../question.js';
import { askIngest, ingest, ingestDeadlineMs } from './ingest.js';

export const rows: Question = {
  name: 'rows',
  asks: 'the same with plain Event messages, as clients without the SDK send them',
  defaults: ingest.defaults,
  takesProfile: true,
  deadlineMs: ingestDeadlineMs,
  ask: (options, run) => askIngest(options, run, { question: 'rows', encoding: 'rows' }),
};

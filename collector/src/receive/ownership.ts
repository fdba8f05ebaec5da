/** What the receiving stage needs to know of who may append a producer's requests. */
import { Cursor } from '../protobuf.js';
import type { Refusal } from './intake.js';

export type ClaimOutcome =
  | { readonly kind: 'granted' }
  /** `unread`: not all logs have been read. `full`: `wal.producers` are known. `moving`: it is on its way. */
  | { readonly kind: 'refused'; readonly reason: 'moving' | 'unread' | 'full' };

export interface Ownership {
  /** Whether requests of a producer, by its id as latin1 text, may be appended here now. */
  owns(producerKey: string): boolean;
  claim(producerKey: string): Promise<ClaimOutcome>;
}

/** A collector that is one process. */
export const ownsAll: Ownership = {
  owns: () => true,
  claim: async () => ({ kind: 'granted' }),
};

/** What a client is told to wait before it asks again for a producer that is on its way. */
const movingDelayMs = 200;

export function claimRefusal(outcome: ClaimOutcome & { kind: 'refused' }, retryDelayMs: number): Refusal {
  switch (outcome.reason) {
    case 'moving':
      return handedOver;
    case 'unread':
      return {
        kind: 'unavailable',
        message:
          'not every write-ahead log could be read yet, so nobody knows how far this producer has come',
        retryDelayMs,
      };
    case 'full':
      return {
        kind: 'overloaded',
        message:
          'the logs remember as many producers as wal.producers allows; a new one finds room when an old one has been silent for wal.producerIdleMs',
        retryDelayMs,
      };
  }
}

/** Of a call whose producer another worker owns by now. */
export const handedOver: Refusal = {
  kind: 'unavailable',
  message: 'the producer is with another worker, or on its way; send its requests again',
  retryDelayMs: movingDelayMs,
};

const cursor = new Cursor();
const producerTag = 0x0a;
const idTag = 0x0a;

/**
 * The id of the producer that a request names, as latin1 text, before anything of the request is checked;
 * empty if there is none. The intake checks both, so a wrong guess costs a call and nothing else.
 */
export function peekProducerKey(request: Buffer): string {
  cursor.reset(request, 0, request.length);
  let key = '';
  while (cursor.position < cursor.end) {
    const tag = cursor.tag();
    if (tag !== producerTag) {
      cursor.skip(tag);
      continue;
    }
    cursor.bytes();
    const { fieldStart, fieldEnd, end } = cursor;
    if (cursor.problem !== '') return '';
    cursor.position = fieldStart;
    cursor.end = fieldEnd;
    while (cursor.position < cursor.end) {
      const inner = cursor.tag();
      if (inner === idTag) {
        cursor.bytes();
        key = request.toString('latin1', cursor.fieldStart, cursor.fieldEnd);
      } else cursor.skip(inner);
    }
    if (cursor.problem !== '') return '';
    // It stands in front of the events, where nearly every request ends here.
    if (key !== '') return key.length === 16 ? key : '';
    cursor.position = fieldEnd;
    cursor.end = end;
  }
  return key.length === 16 ? key : '';
}

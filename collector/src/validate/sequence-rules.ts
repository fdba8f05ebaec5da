/**
 * The sequence rules (design, section 5), as a pure function.
 *
 * 1. A request whose whole range is at or below what the log has is a duplicate.
 * 2. One that starts right after it is appended.
 * 3. One that leaves a hole or overlaps in part is refused, with the sequence to go on from.
 * 4. A producer that the log does not know may start anywhere.
 */
export type SequenceVerdict =
  | { readonly kind: 'append' }
  | { readonly kind: 'duplicate' }
  | { readonly kind: 'refuse'; readonly expectedSequence: number };

const append: SequenceVerdict = { kind: 'append' };
const duplicate: SequenceVerdict = { kind: 'duplicate' };

/**
 * @param appended the last sequence that the log has of this producer; 0 if it does not know it
 * @param first first sequence of the request's range, inclusive
 * @param last last sequence of the request's range, inclusive
 */
export function judgeSequence(appended: number, first: number, last: number): SequenceVerdict {
  if (appended === 0 || first === appended + 1) return append;
  if (last <= appended) return duplicate;
  return { kind: 'refuse', expectedSequence: appended + 1 };
}

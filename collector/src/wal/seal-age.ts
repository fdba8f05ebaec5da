/**
 * How old the open segment may get. A segment becomes a part of the table, and a part costs ClickHouse about
 * the same whether it holds ten rows or ten thousand: its files, its place in the list of parts, its merges.
 * ClickHouse's manual asks for batches of 10,000 to 100,000 rows and about one INSERT a second; the server
 * delays them above 1,000 active parts in a partition (`parts_to_delay_insert`) and refuses them above 3,000
 * (`parts_to_throw_insert`).
 *
 * The rule: one that holds much (`segmentSmallEvents` rows or `segmentSmallBytes`) is sealed at
 * `segmentAgeMs`, or as soon as it holds that much if it is older; one that holds little at
 * `segmentMostAgeMs`. At r rows a second that is an age of 10,000 / r seconds, within 1 and 10:
 *
 *   rows a second     1      100     1,000     5,000     10,000 and more
 *   sealed after      10 s   10 s    10 s      2 s       1 s, as without the rule
 *   rows in a part    10     1,000   10,000    10,000    10,000 and more
 *
 * 1,000 sidecars that log a little make 100 parts a second instead of 1,000; those of one server should wait
 * longer still (60 s: 17), or send to fewer collectors. No rule with the same longest wait makes fewer small
 * parts: none is sealed before it holds enough, unless nobody may wait longer. One that shortens the wait in
 * proportion to what is held would make nearly twice as many parts of half the size (at 1,000 rows a second:
 * every 5.3 s, 5,300 rows), for a freshness that nobody asked for; who wants it calls flush().
 */
import type { WalLimits } from '../limits.js';

/** What a segment holds. */
export interface SegmentContent {
  readonly eventCount: number;
  readonly ledgerRows: number;
  readonly bytes: number;
}

/** The age at which a segment that holds so much is sealed, in milliseconds. */
export function sealAgeMs({ eventCount, ledgerRows, bytes }: SegmentContent, limits: WalLimits): number {
  const isSmall = eventCount + ledgerRows < limits.segmentSmallEvents && bytes < limits.segmentSmallBytes;
  return isSmall ? limits.segmentMostAgeMs : limits.segmentAgeMs;
}

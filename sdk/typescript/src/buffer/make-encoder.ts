import { endianness } from 'node:os';
import type { EventClock } from '../event-clock.js';
import type { Settings } from '../options.js';
import { BlockEncoder } from './block-encoder.js';
import type { EventEncoder } from './event-encoder.js';
import { RowEncoder } from './row-encoder.js';

/** The encoder of the encoding that was chosen. */
export function makeEncoder(
  { encoding, requestBytes }: Pick<Settings, 'encoding' | 'requestBytes'>,
  clock: EventClock,
): EventEncoder {
  // Columns go to the wire as they are in memory, and the wire is little-endian.
  const isBlocks = encoding === 'blocks' && endianness() === 'LE';
  return isBlocks ? new BlockEncoder(clock, requestBytes) : new RowEncoder(clock);
}

/** What bad disks, bad cables and bad hands do to files. */
import type { Random } from '../random.js';

export const rotKinds = [
  'bit',
  'byte',
  'run',
  'zeros',
  'swap',
  'copy',
  'truncate',
  'empty',
  'append',
  'append copy',
  'head',
] as const;
export type RotKind = (typeof rotKinds)[number];

/** Changes a file's bytes. Returns them anew; the same bytes if there was nothing to change. */
export function rot(bytes: Buffer, kind: RotKind, random: Random): Buffer {
  const size = bytes.length;
  if (size === 0) return random.bytes(random.whole(1, 100));
  const changed = Buffer.from(bytes);
  const at = random.whole(0, size - 1);
  const length = Math.min(random.whole(1, random.chance(0.5) ? 16 : 700), size - at);
  switch (kind) {
    case 'bit':
      changed[at] = (changed[at] as number) ^ (1 << random.whole(0, 7));
      return changed;
    case 'byte':
      changed[at] = ((changed[at] as number) + random.whole(1, 255)) & 0xff;
      return changed;
    case 'run':
      random.bytes(length).copy(changed, at);
      return changed;
    case 'zeros':
      changed.fill(0, at, at + length);
      return changed;
    case 'swap': {
      const other = random.whole(0, size - length);
      bytes.copy(changed, other, at, at + length);
      bytes.copy(changed, at, other, other + length);
      return changed;
    }
    case 'copy':
      bytes.copy(changed, random.whole(0, size - length), at, at + length);
      return changed;
    case 'truncate':
      return changed.subarray(0, at);
    case 'empty':
      return Buffer.alloc(0);
    case 'append':
      return Buffer.concat([changed, random.bytes(random.whole(1, 700))]);
    case 'append copy':
      return Buffer.concat([changed, bytes.subarray(at)]);
    case 'head':
      random.bytes(1).copy(changed, random.whole(0, Math.min(200, size - 1)));
      return changed;
  }
}

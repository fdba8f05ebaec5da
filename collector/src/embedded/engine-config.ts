/**
 * The engine's own configuration, written into the data directory at every start.
 *
 * 1. What is committed survives a power loss: parts and their directories are fsynced before an INSERT
 *    is answered, and after merges. A table may still set it otherwise for itself.
 * 2. Merges are few and wide (`merge_selector_base`, design section 3).
 * 3. No system log tables: nobody would empty them.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export function engineConfig(options: { serverMemoryBytes: number }): string {
  return `<clickhouse>
  <!-- Written by Sluice at every start; changes are lost. -->
  <max_server_memory_usage>${options.serverMemoryBytes}</max_server_memory_usage>
  <max_server_memory_usage_to_ram_ratio>0.9</max_server_memory_usage_to_ram_ratio>
  <merge_tree>
    <fsync_after_insert>1</fsync_after_insert>
    <fsync_part_directory>1</fsync_part_directory>
    <min_rows_to_fsync_after_merge>1</min_rows_to_fsync_after_merge>
    <min_compressed_bytes_to_fsync_after_merge>1</min_compressed_bytes_to_fsync_after_merge>
    <merge_selector_base>16</merge_selector_base>
  </merge_tree>
</clickhouse>
`;
}

/** Returns the file's path. */
export async function writeEngineConfig(
  dataDir: string,
  options: { serverMemoryBytes: number },
): Promise<string> {
  const path = join(dataDir, 'sluice-engine.xml');
  await writeFile(path, engineConfig(options), { mode: 0o600 });
  return path;
}

/**
 * Which producers' folders lie in a spool directory, and how one of them changes hands.
 *
 * 1. A folder's name says who owns it, so that taking it is one rename of exactly that name: of any number of
 *    processes that try at once, one succeeds and the others find nothing to rename.
 * 2. A folder whose owner lives, or cannot be judged from here, is never taken unasked.
 */
import { join } from 'node:path';
import type { SpoolFiles } from './files.js';
import { folderName, parseFolderName } from './format.js';
import { judge, type Life, type Owner, ownerText, parseOwner } from './owner.js';

export interface SpoolFolder {
  /** Its name in the spool directory. */
  readonly name: string;
  readonly producerId: Buffer;
  readonly owner: Owner | undefined;
  /** `released`: its owner gave it up in order. */
  readonly state: Life | 'released';
}

/** All producers' folders, the oldest producer first (their ids are UUIDv7). */
export async function listFolders(files: SpoolFiles, directory: string, me: Owner): Promise<SpoolFolder[]> {
  const folders: SpoolFolder[] = [];
  for (const name of (await files.list(directory)).sort()) {
    const parsed = parseFolderName(name);
    if (parsed === undefined) continue;
    const owner = parsed.owner === undefined ? undefined : parseOwner(parsed.owner);
    const state = parsed.owner === undefined ? 'released' : judge(owner, me);
    folders.push({ name, producerId: parsed.producerId, owner, state });
  }
  return folders;
}

/** Takes a folder; resolves to its new path, or undefined if somebody else was faster. */
export async function claimFolder(
  files: SpoolFiles,
  directory: string,
  folder: SpoolFolder,
  me: Owner,
): Promise<string | undefined> {
  const path = join(directory, folderName(folder.producerId, ownerText(me)));
  try {
    await files.rename(join(directory, folder.name), path);
    return path;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

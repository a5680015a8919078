import { realpathSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import { workspaceOf } from '../../workspace.ts';

/**
 * The workspace that a folder given on the command line means. A relative one is the real path of its Git root, else of
 * the folder itself, as conversations have it; an absolute one is taken as it is but for links in it.
 */
export function workspacePath(given: string, cwd: string): string {
  const folder = resolve(cwd, given);
  try {
    return isAbsolute(given) ? realpathSync(folder) : workspaceOf(folder);
  } catch (error) {
    // A folder that is gone can still be asked for by its name.
    if (isMissing(error)) return folder;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
}

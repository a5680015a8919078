import { existsSync, realpathSync } from 'node:fs';
import path from 'node:path';

/** The workspace that a folder is in: the real path of the Git root above it, else of the folder itself. */
export function workspaceOf(folder: string): string {
  const real = realpathSync(folder);
  let at = real;
  while (true) {
    if (existsSync(path.join(at, '.git'))) return at;
    const parent = path.dirname(at);
    if (parent === at) return real;
    at = parent;
  }
}

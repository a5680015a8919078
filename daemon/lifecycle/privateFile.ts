import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';

const READ = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
const LARGEST = 64 * 1024;

/**
 * The text of a small file that this user alone can write; null when there is none, or when it is anything else: a
 * symlink, a folder, a pipe, another user's, writable by others, or larger than 64 KiB.
 */
export function readPrivate(path: string): string | null {
  let file: number;
  try {
    file = openSync(path, READ);
  } catch {
    return null;
  }
  try {
    const stat = fstatSync(file);
    if (!stat.isFile() || stat.size > LARGEST) return null;
    const foreign = process.geteuid !== undefined && stat.uid !== process.geteuid();
    if (foreign || (process.platform !== 'win32' && (stat.mode & 0o022) !== 0)) return null;
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  } finally {
    closeSync(file);
  }
}

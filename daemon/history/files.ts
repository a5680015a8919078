import {
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  openSync,
  readlinkSync,
  readSync,
  renameSync,
  symlinkSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { DaemonError } from '../../shared/errors.ts';

/** Neither follows a link nor opens what others can read. O_NOFOLLOW does not exist on Windows. */
const NEW = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;
const REWRITE = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | (constants.O_NOFOLLOW ?? 0);
const READ = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0);

/** The code of a system error (`ENOENT`), else undefined. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** Makes the folder, private. False when something of that name is there already. */
export function makeFolder(path: string): boolean {
  try {
    mkdirSync(path, 0o700);
    return true;
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false;
    throw error;
  }
}

/** True when `path` itself is a folder, not a link to one. */
export function isRealFolder(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** Makes the folder unless it is there; throws `insecure_home` when something else has its name. */
export function ensureFolder(path: string): void {
  if (makeFolder(path) || isRealFolder(path)) return;
  throw new DaemonError('insecure_home', `${path} is a link or a file where a folder must be: move it away`);
}

/** Writes a file that must not exist yet, private. */
export function writeNew(path: string, content: string): void {
  writeAndClose(openSync(path, NEW, 0o600), content);
}

/** Replaces a file at once: a reader sees the old content or the new. A link of that name is replaced, not followed. */
export function replaceFile(folder: string, name: string, content: string | Iterable<string>): void {
  const temporary = join(folder, `.${name}.tmp`);
  writeAndClose(openSync(temporary, REWRITE, 0o600), content);
  renameSync(temporary, join(folder, name));
}

function writeAndClose(fd: number, content: string | Iterable<string>): void {
  try {
    for (const chunk of typeof content === 'string' ? [content] : content) writeAll(fd, chunk);
  } finally {
    closeSync(fd);
  }
}

function writeAll(fd: number, text: string): void {
  const expected = Buffer.byteLength(text);
  let done = writeSync(fd, text);
  if (done === expected) return;
  // A nearly full disk takes a part; the rest then says why it can't be written.
  const bytes = Buffer.from(text);
  while (done < expected) done += writeSync(fd, bytes, done);
}

/** The first bytes of a file as text, or null when there is none that can be read without following a link. */
export function readHead(path: string, bytes: number): string | null {
  let fd: number;
  try {
    fd = openSync(path, READ);
  } catch (error) {
    if (['ENOENT', 'ELOOP', 'EISDIR', 'ENOTDIR'].includes(errorCode(error) ?? '')) return null;
    throw error;
  }
  try {
    const buffer = Buffer.alloc(bytes);
    return buffer.toString('utf8', 0, readSync(fd, buffer, 0, bytes, 0));
  } finally {
    closeSync(fd);
  }
}

/** Removes a file or a link, if it is there; a folder stays and throws. */
export function removeFile(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
  }
}

/**
 * Makes `path` lead to the folder `target`: by a relative symbolic link; on Windows by a junction to `absolute`; where the
 * file system has no links, by a file that holds `target`.
 */
export function placeLink(path: string, target: string, absolute: string): void {
  try {
    makeLink(path, target, absolute);
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
    if (linkTarget(path) === target) return;
    removeFile(path);
    makeLink(path, target, absolute);
  }
}

function makeLink(path: string, target: string, absolute: string): void {
  try {
    if (process.platform === 'win32') symlinkSync(absolute, path, 'junction');
    else symlinkSync(target, path);
  } catch (error) {
    if (!['EPERM', 'ENOTSUP', 'ENOSYS', 'EOPNOTSUPP', 'EINVAL'].includes(errorCode(error) ?? '')) throw error;
    writeNew(path, `${target}\n`);
  }
}

function linkTarget(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch {
    // No link: whatever it is, it is replaced.
    return null;
  }
}

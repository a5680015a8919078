import { closeSync, constants, ftruncateSync, lstatSync, openSync } from 'node:fs';
import Database from 'better-sqlite3';
import { DaemonError } from '../../shared/errors.ts';
import { sqliteBinding } from '../store/sqlite/binding.ts';
import { shellQuote } from './home.ts';

/** Held from acquireLock to release, or to the end of the process, however it ends. */
export interface Lock {
  /** False once the file was removed or replaced: another daemon may run in this home, so this one has to end. */
  isIntact(): boolean;
  release(): void;
}

/**
 * Takes the lock of a home at once, or returns null when another process has it. The kernel lets go of it when the holder
 * dies, so there is no stale lock. Throws `insecure_home` when something else lies at `path`, `unavailable` when the file
 * system can't lock.
 */
export function acquireLock(path: string): Lock | null {
  try {
    return take(path);
  } catch (error) {
    if (!(error instanceof Database.SqliteError)) throw error;
    if (error.code !== 'SQLITE_NOTADB' && error.code !== 'SQLITE_CORRUPT') throw cannotLock(path, error);
    // Garbage is emptied in place, not replaced: the locks of others who come meanwhile are on this very file. A holder
    // is never mistaken for garbage, because its lock is met before the content is read.
    empty(path);
    return take(path);
  }
}

function take(path: string): Lock | null {
  checkKind(path);
  const binding = sqliteBinding();
  const db = new Database(path, { timeout: 0, ...(binding === undefined ? {} : { nativeBinding: binding }) });
  try {
    db.exec('BEGIN EXCLUSIVE');
    const held = lstatSync(path, { bigint: true });
    return {
      isIntact: () => {
        const now = lstatSync(path, { bigint: true, throwIfNoEntry: false });
        return now !== undefined && now.ino === held.ino && now.dev === held.dev;
      },
      release: () => db.close(),
    };
  } catch (error) {
    db.close();
    if (error instanceof Database.SqliteError && error.code.startsWith('SQLITE_BUSY')) return null;
    throw error;
  }
}

function checkKind(path: string): void {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (!stat || stat.isFile()) return;
  const kind = stat.isSymbolicLink() ? 'a symlink' : stat.isDirectory() ? 'a folder' : 'no regular file';
  throw new DaemonError('insecure_home', `${path} is ${kind}: remove it: rm -r ${shellQuote(path)}`);
}

function empty(path: string): void {
  const file = openSync(path, constants.O_RDWR | (constants.O_NOFOLLOW ?? 0));
  try {
    ftruncateSync(file, 0);
  } finally {
    closeSync(file);
  }
}

function cannotLock(path: string, cause: Error): DaemonError {
  return new DaemonError(
    'unavailable',
    `${path} can't be locked: ${cause.message}; set SESSIOND_HOME to a folder on a local disk that you can write to`,
    { cause },
  );
}

import { closeSync, openSync } from 'node:fs';
import Database from 'better-sqlite3';
import { DaemonError } from '../../../shared/errors.ts';

/** Which database to open, and with which binary of SQLite (better-sqlite3's own when left out). */
export interface DatabaseOptions {
  readonly file: string;
  readonly nativeBinding?: string;
}

const OLDEST = [3, 51, 3] as const;
const JOURNAL_BYTES = 64 * 1024 * 1024;
const CHECKPOINT_PAGES = 4000;

/** Opens for writing: WAL, private file modes, and `synchronous` as the durability asks. */
export function openForWriting(options: DatabaseOptions, durability: 'process' | 'power'): Database.Database {
  // SQLite gives -wal and -shm the mode of the database, so that it is made first.
  if (options.file !== ':memory:') closeSync(openSync(options.file, 'a', 0o600));
  const db = open(options);
  try {
    requireVersion(db);
    db.pragma('journal_mode = WAL');
    // After WAL: choosing WAL sets it to the library's own default.
    db.pragma(`synchronous = ${durability === 'power' ? 'FULL' : 'NORMAL'}`);
    db.pragma(`journal_size_limit = ${JOURNAL_BYTES}`);
    db.pragma(`wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
    db.pragma('foreign_keys = ON');
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** Opens for reading only. Not SQLite's read-only mode: that can't read a WAL whose index has to be made first. */
export function openForReading(options: DatabaseOptions): Database.Database {
  const db = open(options);
  db.pragma('query_only = ON');
  return db;
}

function open({ file, nativeBinding }: DatabaseOptions): Database.Database {
  return new Database(file, { timeout: 10_000, ...(nativeBinding === undefined ? {} : { nativeBinding }) });
}

function requireVersion(db: Database.Database): void {
  const version = db.prepare<[], string>('SELECT sqlite_version()').pluck().get() ?? '0';
  const parts = version.split('.').map(Number);
  for (const [index, least] of OLDEST.entries()) {
    const part = parts[index] ?? 0;
    if (part > least) return;
    if (part < least)
      throw new DaemonError(
        'unavailable',
        `SQLite ${version} can corrupt a database in WAL mode: ${OLDEST.join('.')} or newer is needed; reinstall sessiond`,
      );
  }
}

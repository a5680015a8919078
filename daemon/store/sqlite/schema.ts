import type { Database } from 'better-sqlite3';
import { DaemonError } from '../../../shared/errors.ts';

/*
 * A session's `revision` grows with every change of its row, `version` only with changes that a user sees as an edit, and
 * `files_revision` is what .sessions/ shows. An invocation's `num` is its start in milliseconds times NUMS_A_MILLISECOND
 * plus a counter: row order is time order without an index for it. The big texts stand last, so that a list reads past none.
 */
const first = `
CREATE TABLE sessions (
  num INTEGER PRIMARY KEY,
  session_id TEXT NOT NULL UNIQUE,
  title TEXT,
  purpose TEXT,
  status TEXT NOT NULL,
  user_id TEXT NOT NULL,
  task_id TEXT,
  agent_id TEXT,
  workspace TEXT,
  client TEXT,
  parent_session_id TEXT,
  forked_at_seq INTEGER,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  last_activity_at TEXT NOT NULL,
  ended_at TEXT,
  expires_at TEXT,
  message_count INTEGER NOT NULL DEFAULT 0,
  total_invocations INTEGER NOT NULL DEFAULT 0,
  failed_invocations INTEGER NOT NULL DEFAULT 0,
  total_duration_ms REAL NOT NULL DEFAULT 0,
  token_usage INTEGER,
  estimated_cost REAL,
  version INTEGER NOT NULL DEFAULT 1,
  revision INTEGER NOT NULL DEFAULT 1,
  files_revision INTEGER NOT NULL DEFAULT 0,
  tags TEXT NOT NULL DEFAULT '[]',
  tools_used TEXT NOT NULL DEFAULT '[]',
  state TEXT NOT NULL DEFAULT '{}',
  custom_metadata TEXT NOT NULL DEFAULT '{}'
);
CREATE INDEX sessions_by_activity ON sessions (last_activity_at);
CREATE INDEX sessions_dirty ON sessions (num) WHERE files_revision < revision;

CREATE TABLE conversations (
  client TEXT NOT NULL,
  conversation_id TEXT NOT NULL,
  session INTEGER NOT NULL REFERENCES sessions (num),
  bound INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (client, conversation_id)
) WITHOUT ROWID;

CREATE TABLE tags (
  tag TEXT NOT NULL,
  last_activity_at TEXT NOT NULL,
  session INTEGER NOT NULL REFERENCES sessions (num),
  PRIMARY KEY (tag, last_activity_at, session)
) WITHOUT ROWID;

CREATE TABLE workspaces (
  workspace TEXT NOT NULL PRIMARY KEY,
  active INTEGER NOT NULL REFERENCES sessions (num)
) WITHOUT ROWID;
CREATE INDEX workspaces_by_session ON workspaces (active);

CREATE TABLE invocations (
  num INTEGER PRIMARY KEY,
  invocation_id TEXT NOT NULL UNIQUE,
  session INTEGER REFERENCES sessions (num),
  attribution TEXT NOT NULL,
  conversation_id TEXT,
  client TEXT,
  client_version TEXT,
  workspace TEXT,
  server TEXT NOT NULL,
  tool TEXT NOT NULL,
  status TEXT NOT NULL,
  started_at TEXT NOT NULL,
  ended_at TEXT,
  duration_ms REAL,
  arguments_bytes INTEGER NOT NULL,
  result_bytes INTEGER,
  error_message TEXT,
  redacted INTEGER NOT NULL DEFAULT 0,
  history_dir TEXT,
  owner TEXT NOT NULL,
  arguments_blob TEXT,
  meta_blob TEXT,
  result_blob TEXT,
  error_blob TEXT,
  arguments TEXT,
  meta TEXT,
  error TEXT,
  result TEXT
);
CREATE INDEX invocations_by_session ON invocations (session);
CREATE INDEX invocations_running ON invocations (owner) WHERE status = 'running';
CREATE INDEX invocations_unwritten ON invocations (num) WHERE ended_at IS NOT NULL AND history_dir IS NULL;

CREATE TABLE events (
  seq INTEGER PRIMARY KEY,
  at TEXT NOT NULL,
  type TEXT NOT NULL,
  session_id TEXT,
  data TEXT NOT NULL
);
`;

const migrations: readonly string[] = [first];

/** How many calls of one millisecond have a `num` of their own before the next millisecond's are used. */
const NUMS_A_MILLISECOND = 2048;
/** No `num` begins after this (in the year 2109): past 2 ** 53 a double no longer counts, and one call's number is the next's. */
const LATEST_MS = 2 ** 42 - 2 ** 20;

/** The smallest `num` of a call that started at `ms` (since the epoch), kept within what a double counts exactly. */
export function firstNum(ms: number): number {
  return Math.min(Math.max(Math.trunc(ms), 0), LATEST_MS) * NUMS_A_MILLISECOND;
}

/** Brings the database to the newest schema, in one transaction. Refuses one that a newer sessiond wrote. */
export function migrate(db: Database, file: string): void {
  db.exec('BEGIN IMMEDIATE');
  try {
    db.exec('CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL, applied_at TEXT NOT NULL)');
    const found = db
      .prepare<[], { version: number | null }>('SELECT max(version) AS version FROM schema_version')
      .get();
    const version = found?.version ?? 0;
    if (version > migrations.length)
      throw new DaemonError(
        'unavailable',
        `${file} has schema ${version}, and this sessiond knows up to ${migrations.length}: start the newer sessiond`,
      );
    for (const [index, sql] of migrations.entries()) {
      if (index < version) continue;
      db.exec(sql);
      db.prepare('INSERT INTO schema_version VALUES (?, ?)').run(index + 1, new Date().toISOString());
    }
    db.exec('COMMIT');
  } catch (error) {
    db.exec('ROLLBACK');
    throw error;
  }
}

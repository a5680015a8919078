import type { Database, Statement } from 'better-sqlite3';
import { DaemonError } from '../../../shared/errors.ts';
import { sessionIdFault } from '../../../shared/ids.ts';
import type { Session, SessionStatus } from '../../../shared/session.ts';
import type { EventLog } from './eventLog.ts';
import { sessionNotFound } from './reader.ts';
import { SESSION_COLUMNS, type SessionRow, toSession, toStrings } from './rows.ts';

const REMEMBERED = 1000;
const TOOLS = 256;

/** What the writer has to know of a session to take a call into it. */
export interface KnownSession {
  readonly num: number;
  readonly session_id: string;
  status: SessionStatus;
  readonly workspace: string | null;
  readonly expires_at: string | null;
  readonly tags: readonly string[];
  readonly tools: Set<string>;
  last_activity_at: string;
}

/** What calls add to the counters of a session; counts may be negative when a call leaves it. */
export interface Tally {
  total: number;
  failed: number;
  duration: number;
  at: string;
}

/** The columns of a new session that are not at their default. */
export type NewRow = Pick<Session, 'session_id' | 'status' | 'created_at'> &
  Partial<
    Pick<
      Session,
      | 'title'
      | 'purpose'
      | 'user_id'
      | 'task_id'
      | 'agent_id'
      | 'workspace'
      | 'client'
      | 'parent_session_id'
      | 'ended_at'
      | 'expires_at'
      | 'tags'
      | 'state'
      | 'custom_metadata'
    >
  >;

/** The sessions table, and its tags, as the writer uses it; always inside a transaction. */
export class SessionTable {
  readonly #events: EventLog;
  readonly #userId: string;
  readonly #byId: Statement<[string], SessionRow>;
  readonly #byNum: Statement<[number], SessionRow>;
  readonly #insert: Statement;
  readonly #touch: Statement;
  readonly #status: Statement;
  readonly #tag: Statement;
  readonly #moveTag: Statement;
  readonly #known = new Map<string, KnownSession>();
  readonly #knownByNum = new Map<number, KnownSession>();

  constructor(db: Database, events: EventLog, userId: string) {
    this.#events = events;
    this.#userId = userId;
    this.#byId = db.prepare(`SELECT ${SESSION_COLUMNS} FROM sessions s WHERE s.session_id = ?`);
    this.#byNum = db.prepare(`SELECT ${SESSION_COLUMNS} FROM sessions s WHERE s.num = ?`);
    this.#insert = db.prepare(`INSERT INTO sessions (session_id, title, purpose, status, user_id, task_id, agent_id,
        workspace, client, parent_session_id, tags, state, custom_metadata, created_at, updated_at, last_activity_at,
        ended_at, expires_at)
      VALUES (@session_id, @title, @purpose, @status, @user_id, @task_id, @agent_id, @workspace, @client,
        @parent_session_id, @tags, @state, @custom_metadata, @created_at, @created_at, @created_at, @ended_at, @expires_at)`);
    this.#touch = db.prepare(`UPDATE sessions SET last_activity_at = ?, total_invocations = total_invocations + ?,
        failed_invocations = failed_invocations + ?, total_duration_ms = max(0, total_duration_ms + ?), tools_used = ?,
        revision = revision + 1 WHERE num = ?`);
    this.#status = db.prepare(`UPDATE sessions SET status = ?, ended_at = ?, updated_at = ?, version = version + 1,
        revision = revision + 1 WHERE num = ?`);
    this.#tag = db.prepare('INSERT OR IGNORE INTO tags (tag, last_activity_at, session) VALUES (?, ?, ?)');
    this.#moveTag = db.prepare(
      'UPDATE tags SET last_activity_at = ? WHERE tag = ? AND last_activity_at = ? AND session = ?',
    );
  }

  commit(): void {
    // Not before: a transaction has one KnownSession a session.
    if (this.#known.size > REMEMBERED) this.reload();
  }

  reload(): void {
    this.#known.clear();
    this.#knownByNum.clear();
  }

  /** To be called whenever a session changed by other statements than those here. */
  forget(session_id: string): void {
    const known = this.#known.get(session_id);
    if (!known) return;
    this.#known.delete(session_id);
    this.#knownByNum.delete(known.num);
  }

  row(session_id: string): SessionRow | undefined {
    return this.#byId.get(session_id);
  }

  /** Rejects with `not_found`. */
  require(session_id: string): SessionRow {
    const row = this.#byId.get(session_id);
    if (!row) throw sessionNotFound(session_id);
    return row;
  }

  rowByNum(num: number): SessionRow {
    const row = this.#byNum.get(num);
    if (!row) throw new DaemonError('internal', `sessions.db names session number ${num}, which it does not have`);
    return row;
  }

  /** A session, from memory when it can. */
  known(session_id: string): KnownSession | null {
    const found = this.#known.get(session_id);
    if (found) return found;
    const row = this.#byId.get(session_id);
    return row ? this.#remember(row) : null;
  }

  knownByNum(num: number): KnownSession {
    return this.#knownByNum.get(num) ?? this.#remember(this.rowByNum(num));
  }

  /** Makes a session; rejects with `invalid_input` an id that is malformed. */
  insert(given: NewRow): KnownSession {
    const fault = sessionIdFault(given.session_id);
    if (fault !== null) throw new DaemonError('invalid_input', fault);
    const { lastInsertRowid } = this.#insert.run({
      title: null,
      purpose: null,
      task_id: null,
      agent_id: null,
      workspace: null,
      client: null,
      parent_session_id: null,
      ended_at: null,
      expires_at: null,
      ...given,
      user_id: given.user_id ?? this.#userId,
      tags: JSON.stringify(given.tags ?? []),
      state: JSON.stringify(given.state ?? {}),
      custom_metadata: JSON.stringify(given.custom_metadata ?? {}),
    });
    const num = Number(lastInsertRowid);
    for (const tag of given.tags ?? []) this.#tag.run(tag, given.created_at, num);
    const row = this.rowByNum(num);
    this.emit('session.created', row);
    return this.#remember(row);
  }

  /** Sets the status and tells of it. */
  setStatus(session: KnownSession, status: SessionStatus, at: string): void {
    this.#status.run(status, null, at, session.num);
    session.status = status;
    this.emit('session.updated', this.rowByNum(session.num));
  }

  /** Adds to the counters; `tool` joins the tools used. */
  add(session: KnownSession, tally: Tally): void {
    const before = session.last_activity_at;
    let at = before;
    if (tally.at > before) at = tally.at;
    const tools = JSON.stringify([...session.tools]);
    this.#touch.run(at, tally.total, tally.failed, tally.duration, tools, session.num);
    if (at === before) return;
    for (const tag of session.tags) this.#moveTag.run(at, tag, before, session.num);
    session.last_activity_at = at;
  }

  emit(type: 'session.created' | 'session.updated' | 'session.activated', row: SessionRow): void {
    this.#events.append(type, row.session_id, `{"session":${JSON.stringify(toSession(row))}}`);
  }

  #remember(row: SessionRow): KnownSession {
    const { num, session_id, status, workspace, expires_at, last_activity_at } = row;
    const tools = new Set(toStrings(row.tools_used));
    const known = {
      num,
      session_id,
      status,
      workspace,
      expires_at,
      last_activity_at,
      tags: toStrings(row.tags),
      tools,
    };
    this.#known.set(session_id, known);
    this.#knownByNum.set(num, known);
    return known;
  }
}

/** Notes that a session used a tool; past 256 different ones a session only counts. */
export function useTool(session: KnownSession, server: string, tool: string): void {
  if (session.tools.size < TOOLS) session.tools.add(`${server}__${tool}`);
}

/** Whether calls may run in the session: it has neither ended for good nor expired. */
export function isUsable(session: Pick<KnownSession, 'status' | 'expires_at'>, now: string): boolean {
  return session.status !== 'completed' && session.status !== 'failed' && !isExpired(session, now);
}

export function isExpired(session: Pick<KnownSession, 'expires_at'>, now: string): boolean {
  return session.expires_at !== null && session.expires_at <= now;
}

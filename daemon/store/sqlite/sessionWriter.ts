import type { Database, Statement } from 'better-sqlite3';
import { v7 } from 'uuid';
import { DaemonError } from '../../../shared/errors.ts';
import { sessionIdFault } from '../../../shared/ids.ts';
import { type Session, type SessionStatus, transitions } from '../../../shared/session.ts';
import type { ConversationKey } from '../../records/callRecord.ts';
import type { ConversationContext, ExplicitUse, NewSession, SessionPatch } from '../store.ts';
import type { EventLog } from './eventLog.ts';
import { type SessionRow, toSession, toStrings } from './rows.ts';
import { isExpired, isUsable, type KnownSession, type NewRow, type SessionTable } from './sessionTable.ts';

const TAGS = 64;
const ENDED: readonly SessionStatus[] = ['completed', 'failed', 'abandoned'];

/** The changes of sessions and of what belongs to them; always inside a transaction. */
export class SessionWriter {
  readonly #sessions: SessionTable;
  readonly #events: EventLog;
  readonly #now: () => number;
  readonly #edit: Statement;
  readonly #addTag: Statement;
  readonly #removeTag: Statement;
  readonly #bump: Statement;
  readonly #activeOf: Statement<[string], number>;
  readonly #activate: Statement;
  readonly #deactivate: Statement;
  readonly #conversation: Statement<[string, string], { session: number; bound: 0 | 1 }>;
  readonly #bind: Statement;
  readonly #files: Statement;

  constructor(db: Database, sessions: SessionTable, events: EventLog, now: () => number) {
    this.#sessions = sessions;
    this.#events = events;
    this.#now = now;
    this.#edit = db.prepare(`UPDATE sessions SET title = @title, purpose = @purpose, status = @status, tags = @tags,
        task_id = @task_id, agent_id = @agent_id, expires_at = @expires_at, state = @state,
        custom_metadata = @custom_metadata, ended_at = @ended_at, updated_at = @updated_at, version = version + 1,
        revision = revision + 1 WHERE num = @num`);
    this.#addTag = db.prepare('INSERT INTO tags (tag, last_activity_at, session) VALUES (?, ?, ?)');
    this.#removeTag = db.prepare('DELETE FROM tags WHERE tag = ? AND last_activity_at = ? AND session = ?');
    this.#bump = db.prepare(`UPDATE sessions SET workspace = coalesce(workspace, ?), updated_at = ?,
        version = version + 1, revision = revision + 1 WHERE num = ?`);
    this.#activeOf = db.prepare<[string], number>('SELECT active FROM workspaces WHERE workspace = ?').pluck();
    this.#activate = db.prepare(`INSERT INTO workspaces (workspace, active) VALUES (?, ?)
      ON CONFLICT (workspace) DO UPDATE SET active = excluded.active`);
    this.#deactivate = db.prepare('DELETE FROM workspaces WHERE active = ?');
    this.#conversation = db.prepare(
      'SELECT session, bound FROM conversations WHERE client = ? AND conversation_id = ?',
    );
    this.#bind = db.prepare(`INSERT INTO conversations (client, conversation_id, session, bound) VALUES (?, ?, ?, ?)
      ON CONFLICT (client, conversation_id) DO UPDATE SET session = excluded.session, bound = excluded.bound`);
    this.#files = db.prepare('UPDATE sessions SET files_revision = ? WHERE session_id = ? AND files_revision < ?');
  }

  createSession(input: NewSession): Session {
    const session_id = input.session_id ?? v7();
    if (this.#sessions.row(session_id))
      throw new DaemonError('conflict', `there is a session ${session_id} already: use it, or choose another id`);
    if (input.parent_session_id !== undefined) this.#sessions.require(input.parent_session_id);
    const created_at = this.#iso();
    const status = input.status ?? 'created';
    const given: NewRow = { session_id, status, created_at };
    for (const key of ['title', 'purpose', 'user_id', 'task_id', 'agent_id', 'workspace', 'client'] as const)
      if (input[key] !== undefined) given[key] = input[key];
    if (input.parent_session_id !== undefined) given.parent_session_id = input.parent_session_id;
    if (input.expires_at !== undefined) given.expires_at = input.expires_at;
    if (input.tags !== undefined) given.tags = [...new Set(input.tags)];
    if (input.state !== undefined) given.state = input.state;
    if (input.custom_metadata !== undefined) given.custom_metadata = input.custom_metadata;
    if (ENDED.includes(status)) given.ended_at = created_at;
    return toSession(this.#sessions.rowByNum(this.#sessions.insert(given).num));
  }

  updateSession(session_id: string, patch: SessionPatch, version?: number): Session {
    const row = this.#sessions.require(session_id);
    if (version !== undefined && version !== row.version)
      throw new DaemonError(
        'conflict',
        `session ${session_id} has version ${row.version}, not ${version}: get it again and repeat the change`,
      );
    const before = toStrings(row.tags);
    const tags = patchedTags(before, patch);
    const edited = {
      title: patch.title === undefined ? row.title : patch.title,
      purpose: patch.purpose === undefined ? row.purpose : patch.purpose,
      status: patch.status ?? row.status,
      tags: JSON.stringify(tags),
      task_id: patch.task_id === undefined ? row.task_id : patch.task_id,
      agent_id: patch.agent_id === undefined ? row.agent_id : patch.agent_id,
      expires_at: patch.expires_at === undefined ? row.expires_at : patch.expires_at,
      state: patch.state === undefined ? row.state : JSON.stringify(patch.state),
      custom_metadata:
        patch.custom_metadata === undefined ? row.custom_metadata : JSON.stringify(patch.custom_metadata),
    };
    if (edited.status !== row.status) requireTransition(row, edited.status);
    const fields = ['title', 'purpose', 'status', 'tags', 'task_id', 'agent_id', 'expires_at', 'state'] as const;
    if (fields.every(field => edited[field] === row[field]) && edited.custom_metadata === row.custom_metadata)
      return toSession(row);
    const now = this.#iso();
    const ended_at = edited.status === row.status ? row.ended_at : ENDED.includes(edited.status) ? now : null;
    this.#edit.run({ ...edited, ended_at, updated_at: now, num: row.num });
    for (const tag of before) if (!tags.includes(tag)) this.#removeTag.run(tag, row.last_activity_at, row.num);
    for (const tag of tags) if (!before.includes(tag)) this.#addTag.run(tag, row.last_activity_at, row.num);
    if (edited.status === 'completed' || edited.status === 'failed') this.#deactivate.run(row.num);
    return this.#updated(row.num);
  }

  activateSession(session_id: string, workspace: string): Session {
    const row = this.#requireUsable(session_id);
    const before = this.#activeOf.get(workspace);
    if (before === row.num) return toSession(row);
    const now = this.#iso();
    this.#activate.run(workspace, row.num);
    if (before !== undefined) {
      this.#bump.run(null, now, before);
      this.#updated(before);
    }
    this.#bump.run(workspace, now, row.num);
    this.#sessions.forget(session_id);
    const active = this.#sessions.rowByNum(row.num);
    this.#sessions.emit('session.activated', active);
    return toSession(active);
  }

  bindConversation(conversation: ConversationKey, session_id: string): Session {
    const row = this.#requireUsable(session_id);
    const found = this.#conversation.get(conversation.client, conversation.conversation_id);
    if (found?.session !== row.num || found.bound !== 1) this.#move(conversation, row, true);
    return toSession(row);
  }

  resolveConversation(
    conversation: ConversationKey,
    proposed: string,
    context: ConversationContext,
  ): { session_id: string; bound: boolean } {
    const { session, bound } = this.resolve(conversation, proposed, context, this.#now());
    return { session_id: session.session_id, bound };
  }

  /** The rule of resolveConversation, for a call at the time `at`: the session is active afterwards. */
  resolve(
    conversation: ConversationKey,
    proposed: string,
    context: ConversationContext,
    at: number,
  ): { session: KnownSession; bound: boolean } {
    const now = this.#iso();
    const found = this.#conversation.get(conversation.client, conversation.conversation_id);
    if (found) {
      const session = this.#sessions.knownByNum(found.session);
      if (isUsable(session, now)) return { session: this.wake(session), bound: found.bound === 1 };
      const successor = this.#succeed(session, proposed, conversation, context, at);
      this.#move(conversation, successor, found.bound === 1);
      return { session: successor, bound: found.bound === 1 };
    }
    const active = context.workspace === null ? undefined : this.#activeOf.get(context.workspace);
    const joined = active === undefined ? null : this.#sessions.knownByNum(active);
    const session =
      joined && isUsable(joined, now) ? this.wake(joined) : this.#open(proposed, conversation, context, at, now);
    this.#bind.run(conversation.client, conversation.conversation_id, session.num, 0);
    return { session, bound: false };
  }

  useExplicit(session_id: string, context: ConversationContext): ExplicitUse {
    const fault = sessionIdFault(session_id);
    if (fault !== null) return { refused: fault };
    const now = this.#iso();
    const found = this.#sessions.known(session_id);
    if (found && !isUsable(found, now)) return { refused: `${whyNot(found, now)}, or leave session_id out` };
    const session = found ? this.wake(found) : this.make(session_id, context, this.#now());
    return { session: toSession(this.#sessions.rowByNum(session.num)) };
  }

  /** A session that a call brought about. */
  make(session_id: string, context: ConversationContext, at: number, more: Partial<NewRow> = {}): KnownSession {
    const created_at = new Date(Math.min(at, this.#now())).toISOString();
    return this.#sessions.insert({ ...more, ...context, session_id, status: 'active', created_at });
  }

  /** A call arrived: what has not begun, rests or was given up is active from now on. */
  wake(session: KnownSession): KnownSession {
    const { status } = session;
    if (status === 'created' || status === 'suspended' || status === 'abandoned')
      this.#sessions.setStatus(session, 'active', this.#iso());
    return session;
  }

  markSessionFiles(entries: readonly { session_id: string; revision: number }[]): void {
    for (const { session_id, revision } of entries) this.#files.run(revision, session_id, revision);
  }

  #open(
    proposed: string,
    conversation: ConversationKey,
    context: ConversationContext,
    at: number,
    now: string,
  ): KnownSession {
    const there = this.#sessions.known(proposed);
    if (there && isUsable(there, now)) return this.wake(there);
    const { client, workspace } = context;
    return this.make(there ? v7() : proposed, { client: client ?? conversation.client, workspace }, at);
  }

  #succeed(
    ended: KnownSession,
    proposed: string,
    conversation: ConversationKey,
    context: ConversationContext,
    at: number,
  ): KnownSession {
    const { user_id, task_id, agent_id } = this.#sessions.rowByNum(ended.num);
    return this.make(
      this.#sessions.known(proposed) ? v7() : proposed,
      { client: context.client ?? conversation.client, workspace: context.workspace ?? ended.workspace },
      at,
      { parent_session_id: ended.session_id, user_id, task_id, agent_id },
    );
  }

  #move(conversation: ConversationKey, session: { num: number; session_id: string }, bound: boolean): void {
    const { client, conversation_id } = conversation;
    this.#bind.run(client, conversation_id, session.num, bound ? 1 : 0);
    this.tellMoved(conversation, session.session_id);
  }

  /** Tells the gateways that a conversation belongs to another session than they think. */
  tellMoved({ client, conversation_id }: ConversationKey, session_id: string): void {
    this.#events.append('conversation.moved', session_id, JSON.stringify({ client, conversation_id }));
  }

  #requireUsable(session_id: string): SessionRow {
    const row = this.#sessions.require(session_id);
    const now = this.#iso();
    if (!isUsable(row, now)) throw new DaemonError('session_ended', `${whyNot(row, now)}, or choose another session`);
    return row;
  }

  #updated(num: number): Session {
    const row = this.#sessions.rowByNum(num);
    this.#sessions.forget(row.session_id);
    this.#sessions.emit('session.updated', row);
    return toSession(row);
  }

  #iso(): string {
    return new Date(this.#now()).toISOString();
  }
}

function whyNot(session: Pick<KnownSession, 'session_id' | 'status' | 'expires_at'>, now: string): string {
  const { session_id, status, expires_at } = session;
  return isExpired(session, now)
    ? `session ${session_id} expired at ${expires_at}: set a later expires_at with sessions_update`
    : `session ${session_id} is ${status}: set its status to active with sessions_update`;
}

function requireTransition(row: SessionRow, to: SessionStatus): void {
  const possible = transitions[row.status];
  if (possible.includes(to)) return;
  throw new DaemonError(
    'wrong_transition',
    `session ${row.session_id} is ${row.status} and can't become ${to}: possible is ${possible.join(', ')}`,
  );
}

function patchedTags(before: readonly string[], patch: SessionPatch): string[] {
  const removed = new Set(patch.remove_tags ?? []);
  const tags = [...new Set([...(patch.tags ?? before), ...(patch.add_tags ?? [])])].filter(tag => !removed.has(tag));
  if (tags.length > TAGS)
    throw new DaemonError(
      'invalid_input',
      `${tags.length} tags are more than the ${TAGS} a session can have: remove some`,
    );
  return tags;
}

import type { DaemonEvent } from '../../shared/events.ts';
import type { Invocation, InvocationDetail } from '../../shared/invocation.ts';
import type { OperationArguments } from '../../shared/operations/table.ts';
import type { Session, SessionStatus } from '../../shared/session.ts';
import type { CallRecord, ConversationKey } from '../records/callRecord.ts';

export interface Page<Row> {
  items: Row[];
  next_cursor: string | null;
  total: number | null;
}

/** A session to be made; what is left out gets its default. */
export type NewSession = Omit<OperationArguments<'sessions_create'>, 'activate'> & {
  status?: SessionStatus;
  client?: string;
};

/** What may change in a session; undefined leaves a field as it is. */
export type SessionPatch = Omit<OperationArguments<'sessions_update'>, 'session_id' | 'version'>;

export interface ConversationContext {
  readonly client: string | null;
  readonly workspace: string | null;
}

/** The answer to an explicit id: usable, or why not. */
export type ExplicitUse = { readonly session: Session } | { readonly refused: string };

/**
 * The record of truth. Coarse methods, one transaction each: a method that rejects has changed nothing. Each change writes
 * its event in the same transaction. Errors are DaemonErrors (`not_found`, `conflict`, `wrong_transition`,
 * `invalid_input` for a cursor of another query).
 */
export interface Store {
  createSession(input: NewSession): Promise<Session>;
  /** Rejects with `not_found`. */
  getSession(session_id: string): Promise<Session>;
  listSessions(filter: OperationArguments<'sessions_list'>): Promise<Page<Session>>;
  /** With `version`, rejects with `conflict` when the session has another; a status change must be a known transition. */
  updateSession(session_id: string, patch: SessionPatch, version?: number): Promise<Session>;
  /** Makes the session the active one of the workspace: new conversations there join it. */
  activateSession(session_id: string, workspace: string): Promise<Session>;
  /** Moves a conversation to the session from now on. */
  bindConversation(conversation: ConversationKey, session_id: string): Promise<Session>;

  /**
   * The session of a conversation: the one it has, else the active one of its workspace, else a new one with the id
   * `proposed`. A suspended or abandoned session becomes active; a completed, failed or expired one gets a linked successor.
   */
  resolveConversation(
    conversation: ConversationKey,
    proposed: string,
    context: ConversationContext,
  ): Promise<{ session_id: string; bound: boolean }>;
  /** An id that a caller gave: makes the session when there is none; refuses a completed, failed or expired one. */
  useExplicit(session_id: string, context: ConversationContext): Promise<ExplicitUse>;

  /**
   * Writes records, each once by its invocation_id; resolves when they are committed. A start and its end in one batch are
   * one row write. Secrets are redacted first. An end without a start, and a second start or end, are ignored.
   */
  writeRecords(records: readonly CallRecord[]): Promise<void>;
  /** Ends what still runs as `interrupted`: of this owner, or of every owner not in `alive`. Returns how many. */
  interruptRunning(which: { owner: string } | { alive: readonly string[] }): Promise<number>;

  getInvocation(invocation_id: string): Promise<InvocationDetail>;
  listInvocations(filter: OperationArguments<'invocations_list'>): Promise<Page<Invocation>>;
  linkInvocation(invocation_id: string, session_id: string): Promise<Invocation>;

  /** Events with seq > after, oldest first. `oldest` is the smallest seq still kept: a smaller `after` has a hole. */
  listEvents(after: number, limit: number): Promise<{ events: DaemonEvent[]; oldest: number; latest: number }>;
  /** Called with the committed events, in order, after each commit. */
  onEvents(listener: (events: readonly DaemonEvent[]) => void): () => void;

  /** Says where invocations stand below .history; a call corrected since it was read is left to be written again. */
  markHistory(entries: readonly { invocation_id: string; history_dir: string }[]): Promise<void>;
  /** Says up to which revision .sessions/ shows a session. */
  markSessionFiles(entries: readonly { session_id: string; revision: number }[]): Promise<void>;

  counts(): Promise<{ sessions: number; invocations: number; running: number }>;
  /** Commits what is pending and lets go of every file. */
  close(): Promise<void>;
}

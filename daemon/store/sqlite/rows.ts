import * as z from 'zod';
import type { Invocation } from '../../../shared/invocation.ts';
import type { Session } from '../../../shared/session.ts';

/** A session as its row stands: the JSON columns are text still, and `active` is 0 or 1. */
export type SessionRow = Omit<Session, 'tags' | 'tools_used' | 'state' | 'custom_metadata' | 'active'> & {
  num: number;
  active: 0 | 1;
  tags: string;
  tools_used: string;
  state: string;
  custom_metadata: string;
  revision: number;
};

/** The columns of a SessionRow, from `sessions s`. */
export const SESSION_COLUMNS = `s.num, s.session_id, s.title, s.purpose, s.status, s.user_id, s.task_id, s.agent_id,
  s.workspace, s.client, s.parent_session_id, s.forked_at_seq, s.tags, s.state, s.custom_metadata, s.created_at,
  s.updated_at, s.last_activity_at, s.ended_at, s.expires_at, s.message_count, s.total_invocations,
  s.failed_invocations, s.total_duration_ms, s.tools_used, s.token_usage, s.estimated_cost, s.version, s.revision,
  EXISTS (SELECT 1 FROM workspaces w WHERE w.active = s.num) AS active`;

/** An invocation as its row stands, without its big parts: `redacted` is 0 or 1. */
export type InvocationRow = Omit<Invocation, 'redacted'> & { num: number; redacted: 0 | 1 };

/** The columns of an InvocationRow, from `invocations i`. A join for the session's id costs ten times this subquery. */
export const INVOCATION_COLUMNS = `i.num, i.invocation_id,
  (SELECT x.session_id FROM sessions x WHERE x.num = i.session) AS session_id, i.attribution, i.conversation_id, i.client,
  i.client_version, i.workspace, i.server, i.tool, i.status, i.started_at, i.ended_at, i.duration_ms,
  i.arguments_bytes, i.result_bytes, i.error_message, i.redacted, i.history_dir`;

/** The big parts of a call, in the order in which they are shown. */
export const PARTS = ['arguments', 'meta', 'result', 'error'] as const;
export type Part = (typeof PARTS)[number];

/** Each part of a call as JSON text; null where the call had none. */
export type PartTexts = { [P in Part]: string | null };
/** Where each part is, when it is too big for the row. */
export type PartBlobs = { [P in `${Part}_blob`]: string | null };

/** The columns of the parts, inline and in blobs. */
export const PART_COLUMNS = PARTS.flatMap(part => [`i.${part}`, `i.${part}_blob`]).join(', ');

const strings = z.array(z.string());
const record = z.record(z.string(), z.json());

/** The session that a row tells of. */
export function toSession(row: SessionRow): Session {
  return {
    session_id: row.session_id,
    title: row.title,
    purpose: row.purpose,
    status: row.status,
    user_id: row.user_id,
    task_id: row.task_id,
    agent_id: row.agent_id,
    workspace: row.workspace,
    client: row.client,
    parent_session_id: row.parent_session_id,
    forked_at_seq: row.forked_at_seq,
    tags: toStrings(row.tags),
    state: toRecord(row.state),
    custom_metadata: toRecord(row.custom_metadata),
    created_at: row.created_at,
    updated_at: row.updated_at,
    last_activity_at: row.last_activity_at,
    ended_at: row.ended_at,
    expires_at: row.expires_at,
    message_count: row.message_count,
    total_invocations: row.total_invocations,
    failed_invocations: row.failed_invocations,
    total_duration_ms: row.total_duration_ms,
    tools_used: toStrings(row.tools_used),
    token_usage: row.token_usage,
    estimated_cost: row.estimated_cost,
    active: row.active === 1,
    version: row.version,
  };
}

/** The invocation that a row tells of. */
export function toInvocation(row: InvocationRow): Invocation {
  const { num: _num, redacted, ...rest } = row;
  return { ...rest, redacted: redacted === 1 };
}

/** A JSON column that holds a list of strings. */
export function toStrings(text: string): string[] {
  return text === '[]' ? [] : strings.parse(JSON.parse(text));
}

function toRecord(text: string): Session['state'] {
  return text === '{}' ? {} : record.parse(JSON.parse(text));
}

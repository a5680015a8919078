import * as z from 'zod';
import { operation } from '../operation.ts';
import { session, sessionId, sessionStatus, tag, timestamp } from '../session.ts';
import { page, paging } from './paging.ts';

const everywhere = ['mcp', 'rest', 'cli'] as const;

const title = z.string().trim().min(1).max(500).meta({ description: 'A short name' });
const purpose = z.string().max(4000).meta({ description: 'What the work is for' });
const metadata = z.record(z.string().max(128), z.json());
const tags = z.array(tag).max(64);
const version = z.coerce
  .number()
  .int()
  .min(1)
  .optional()
  .meta({ description: 'Refuse when the session has another version' });

export const sessionsCreate = operation({
  name: 'sessions_create',
  summary: 'Create a session, a unit of work that joins tool calls and conversations.',
  method: 'POST',
  path: '/sessions',
  input: z.object({
    session_id: sessionId.optional().meta({ description: 'Your own id; minted when left out' }),
    title: title.optional(),
    purpose: purpose.optional(),
    workspace: z.string().max(4096).optional().meta({ description: 'Absolute folder the work is in' }),
    tags: tags.optional(),
    user_id: z.string().min(1).max(256).optional(),
    task_id: z.string().max(256).optional(),
    agent_id: z.string().max(256).optional(),
    parent_session_id: sessionId.optional(),
    expires_at: timestamp.optional(),
    state: metadata.optional(),
    custom_metadata: metadata.optional(),
    activate: z.boolean().default(false).meta({ description: 'Make it the active session of its workspace' }),
  }),
  output: session,
  readOnly: false,
  destructive: false,
  idempotent: false,
  surfaces: everywhere,
  cli: {
    positionals: ['title'],
    alias: 'new',
    examples: ['sessiond new "Debug the auth bug" --tags auth --tags urgent', 'sessiond new "Release" --activate'],
  },
});

export const sessionsGet = operation({
  name: 'sessions_get',
  summary: 'Get one session with its counters.',
  method: 'GET',
  path: '/sessions/:session_id',
  input: z.object({ session_id: sessionId }),
  output: session,
  readOnly: true,
  destructive: false,
  idempotent: true,
  surfaces: everywhere,
  cli: {
    positionals: ['session_id'],
    examples: ['sessiond sessions get debug-auth', 'sessiond sessions get debug-auth --json'],
  },
});

export const sessionsList = operation({
  name: 'sessions_list',
  summary: 'List sessions, the most recently active first; all filters work together.',
  method: 'GET',
  path: '/sessions',
  input: z.object({
    status: z.array(sessionStatus).optional(),
    tags_all: tags.optional().meta({ description: 'Has every one of these tags' }),
    tags_any: tags.optional().meta({ description: 'Has at least one of these tags' }),
    workspace: z.string().max(4096).optional(),
    client: z.string().max(256).optional(),
    user_id: z.string().max(256).optional(),
    agent_id: z.string().max(256).optional(),
    task_id: z.string().max(256).optional(),
    active_after: timestamp.optional().meta({ description: 'Last active at or after' }),
    active_before: timestamp.optional().meta({ description: 'Last active before' }),
    text: z.string().max(500).optional().meta({ description: 'Words of the title or purpose' }),
    ...paging,
  }),
  output: page(session),
  readOnly: true,
  destructive: false,
  idempotent: true,
  surfaces: everywhere,
  cli: {
    alias: 'list',
    examples: ['sessiond list', 'sessiond list --status active --tags-any auth', 'sessiond list --json'],
  },
});

export const sessionsUpdate = operation({
  name: 'sessions_update',
  summary: 'Change a session: its title, purpose, tags, status or metadata.',
  method: 'PATCH',
  path: '/sessions/:session_id',
  input: z.object({
    session_id: sessionId,
    title: title.nullable().optional(),
    purpose: purpose.nullable().optional(),
    status: sessionStatus.optional(),
    tags: tags.optional().meta({ description: 'Replaces all tags' }),
    add_tags: tags.optional(),
    remove_tags: tags.optional(),
    task_id: z.string().max(256).nullable().optional(),
    agent_id: z.string().max(256).nullable().optional(),
    expires_at: timestamp.nullable().optional(),
    state: metadata.optional().meta({ description: 'Replaces the state' }),
    custom_metadata: metadata.optional().meta({ description: 'Replaces the metadata' }),
    version,
  }),
  output: session,
  readOnly: false,
  destructive: false,
  idempotent: true,
  surfaces: everywhere,
  cli: {
    positionals: ['session_id'],
    examples: [
      'sessiond sessions update debug-auth --add-tags urgent',
      'sessiond sessions update debug-auth --title "Login loop"',
    ],
  },
});

export const sessionsUse = operation({
  name: 'sessions_use',
  summary:
    'Put this conversation into a session from now on, or, with a workspace, make the session the active one there.',
  method: 'POST',
  path: '/sessions/:session_id/use',
  input: z.object({
    session_id: sessionId,
    workspace: z
      .string()
      .max(4096)
      .optional()
      .meta({ description: 'Make it active for new conversations in this folder' }),
    client: z.string().max(256).optional().meta({ description: 'With conversation_id: move this conversation' }),
    conversation_id: z.string().max(256).optional(),
  }),
  output: session,
  readOnly: false,
  destructive: false,
  idempotent: true,
  surfaces: everywhere,
  cli: {
    positionals: ['session_id'],
    alias: 'use',
    examples: [
      'sessiond use debug-auth --workspace .',
      'sessiond use debug-auth --client codex-mcp-client --conversation-id 0199…',
    ],
  },
});

export const sessionsComplete = operation({
  name: 'sessions_complete',
  summary: 'End a session: its work is done, or has failed.',
  method: 'POST',
  path: '/sessions/:session_id/complete',
  input: z.object({
    session_id: sessionId,
    status: z.enum(['completed', 'failed']).default('completed'),
    version,
  }),
  output: session,
  readOnly: false,
  destructive: false,
  idempotent: false,
  surfaces: everywhere,
  cli: {
    positionals: ['session_id'],
    alias: 'complete',
    examples: ['sessiond complete debug-auth', 'sessiond complete debug-auth --status failed'],
  },
});

import * as z from 'zod';
import { SESSION_ID_PATTERN } from './ids.ts';

export const sessionId = z
  .string()
  .regex(SESSION_ID_PATTERN, 'use 1 to 64 of A-Z a-z 0-9 _ -')
  .meta({ description: 'Handle of a session; opaque' });

/** ISO 8601 UTC with milliseconds. */
export const timestamp = z.iso.datetime({ precision: 3 });

export const sessionStatus = z.enum(['created', 'active', 'suspended', 'completed', 'failed', 'abandoned']);
export type SessionStatus = z.infer<typeof sessionStatus>;

/** Where each status may go; an ended session leaves only by `resume`. */
export const transitions: Record<SessionStatus, readonly SessionStatus[]> = {
  created: ['active', 'suspended', 'completed', 'failed', 'abandoned'],
  active: ['suspended', 'completed', 'failed', 'abandoned'],
  suspended: ['active', 'completed', 'failed', 'abandoned'],
  completed: ['active'],
  failed: ['active'],
  abandoned: ['active', 'completed', 'failed'],
};

export const tag = z
  .string()
  .trim()
  .min(1)
  .max(64)
  .regex(/^[^\p{Cc}]+$/u, 'a tag has no control characters');

export const session = z.object({
  session_id: sessionId,
  title: z.string().nullable(),
  purpose: z.string().nullable(),
  status: sessionStatus,
  user_id: z.string(),
  task_id: z.string().nullable(),
  agent_id: z.string().nullable(),
  workspace: z.string().nullable().meta({ description: 'Real path of the Git root, else of the working directory' }),
  client: z.string().nullable().meta({ description: 'clientInfo.name of the assistant that began it' }),
  parent_session_id: sessionId.nullable(),
  forked_at_seq: z.int().nullable(),
  tags: z.array(tag),
  state: z.record(z.string(), z.json()),
  custom_metadata: z.record(z.string(), z.json()),
  created_at: timestamp,
  updated_at: timestamp,
  last_activity_at: timestamp,
  ended_at: timestamp.nullable(),
  expires_at: timestamp.nullable(),
  message_count: z.int(),
  total_invocations: z.int(),
  failed_invocations: z.int(),
  total_duration_ms: z.number(),
  tools_used: z.array(z.string()),
  token_usage: z.int().nullable(),
  estimated_cost: z.number().nullable(),
  active: z.boolean().meta({ description: 'True for the active session of its workspace' }),
  version: z.int().meta({ description: 'Grows with each change; send it back to guard an update' }),
});
export type Session = z.infer<typeof session>;

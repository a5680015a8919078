import * as z from 'zod';
import { invocation } from './invocation.ts';
import { session, sessionId, timestamp } from './session.ts';

const base = { seq: z.int().meta({ description: 'The SSE id; resume after it' }), at: timestamp };

/** What happened, in the past tense. The row is written in the transaction of the change that it tells of. */
export const daemonEvent = z.discriminatedUnion('type', [
  z.object({ ...base, type: z.literal('session.created'), session_id: sessionId, session }),
  z.object({ ...base, type: z.literal('session.updated'), session_id: sessionId, session }),
  z.object({ ...base, type: z.literal('session.activated'), session_id: sessionId, session }),
  z.object({ ...base, type: z.literal('invocation.started'), session_id: sessionId.nullable(), invocation }),
  z.object({ ...base, type: z.literal('invocation.ended'), session_id: sessionId.nullable(), invocation }),
  z.object({ ...base, type: z.literal('invocation.linked'), session_id: sessionId.nullable(), invocation }),
  z.object({
    ...base,
    type: z.literal('conversation.moved'),
    session_id: sessionId,
    client: z.string(),
    conversation_id: z.string(),
  }),
]);
export type DaemonEvent = z.infer<typeof daemonEvent>;
export type EventType = DaemonEvent['type'];

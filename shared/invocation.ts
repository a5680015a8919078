import * as z from 'zod';
import { sessionId, timestamp } from './session.ts';

/** How an invocation got its session, strongest first. */
export const attribution = z.enum(['explicit', 'meta', 'environment', 'hook', 'binding', 'inferred', 'none']);
export type Attribution = z.infer<typeof attribution>;

/**
 * `completed`: a result without isError. `failed`: an isError result, a JSON-RPC error, or an upstream that died.
 * `refused`: never reached the upstream. `interrupted`: sessiond stopped while it ran.
 */
export const invocationStatus = z.enum([
  'running',
  'completed',
  'failed',
  'cancelled',
  'timed_out',
  'interrupted',
  'refused',
]);
export type InvocationStatus = z.infer<typeof invocationStatus>;

export const invocation = z.object({
  invocation_id: z.uuid(),
  session_id: sessionId.nullable(),
  attribution,
  conversation_id: z.string().nullable(),
  client: z.string().nullable(),
  client_version: z.string().nullable(),
  workspace: z.string().nullable(),
  server: z.string(),
  tool: z.string().meta({ description: "The tool's own name at its server" }),
  status: invocationStatus,
  started_at: timestamp,
  ended_at: timestamp.nullable(),
  duration_ms: z.number().nullable(),
  arguments_bytes: z.int(),
  result_bytes: z.int().nullable(),
  error_message: z.string().nullable().meta({ description: 'One line that says why it did not complete' }),
  redacted: z.boolean().meta({ description: 'True when a secret was taken out before it was written' }),
  history_dir: z.string().nullable().meta({ description: 'Folder below .history, once written' }),
});
/** What a list shows of a call. */
export type Invocation = z.infer<typeof invocation>;

export const invocationDetail = invocation.extend({
  arguments: z.json().meta({ description: 'As the upstream got them' }),
  meta: z.json().meta({ description: "The request's _meta, null when it had none" }),
  result: z.json().meta({ description: 'The MCP result, null when there is none' }),
  error: z.json().meta({ description: 'The JSON-RPC error {code, message, data}, null when there is none' }),
});
/** A call with everything recorded of it. */
export type InvocationDetail = z.infer<typeof invocationDetail>;

import * as z from 'zod';
import { invocation, invocationDetail, invocationStatus } from '../invocation.ts';
import { operation } from '../operation.ts';
import { sessionId, timestamp } from '../session.ts';
import { page, paging } from './paging.ts';

const everywhere = ['mcp', 'rest', 'cli'] as const;
const filters = {
  server: z.string().max(64).optional(),
  tool: z.string().max(256).optional(),
  status: z.array(invocationStatus).optional(),
  client: z.string().max(256).optional(),
  workspace: z.string().max(4096).optional(),
  started_after: timestamp.optional(),
  started_before: timestamp.optional(),
};

export const invocationsList = operation({
  name: 'invocations_list',
  summary: 'List recorded tool calls, newest first, of one session or of all.',
  method: 'GET',
  path: '/invocations',
  input: z.object({ session_id: sessionId.optional(), ...filters, ...paging }),
  output: page(invocation),
  readOnly: true,
  destructive: false,
  idempotent: true,
  surfaces: everywhere,
  cli: {
    alias: 'calls',
    positionals: ['session_id'],
    examples: ['sessiond calls debug-auth', 'sessiond calls --status failed --server git'],
  },
});

export const invocationsGet = operation({
  name: 'invocations_get',
  summary: 'Get one recorded tool call with its arguments and its result or error.',
  method: 'GET',
  path: '/invocations/:invocation_id',
  input: z.object({ invocation_id: z.uuid() }),
  output: invocationDetail,
  readOnly: true,
  destructive: false,
  idempotent: true,
  surfaces: everywhere,
  cli: { positionals: ['invocation_id'], examples: ['sessiond invocations get 0199b3c2-… --json'] },
});

export const invocationsLink = operation({
  name: 'invocations_link',
  summary: 'Put a recorded tool call into a session, moving it from the one it is in.',
  method: 'POST',
  path: '/sessions/:session_id/invocations',
  input: z.object({ session_id: sessionId, invocation_id: z.uuid() }),
  output: invocation,
  readOnly: false,
  destructive: false,
  idempotent: true,
  surfaces: everywhere,
  cli: { positionals: ['session_id', 'invocation_id'], examples: ['sessiond invocations link debug-auth 0199b3c2-…'] },
});

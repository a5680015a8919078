import * as z from 'zod';
import { operation } from '../operation.ts';
import { timestamp } from '../session.ts';

export const daemonStatus = operation({
  name: 'daemon_status',
  summary: 'Say how the daemon is: version, home, counts and what is running.',
  method: 'GET',
  path: '/daemon/status',
  input: z.object({}),
  output: z.object({
    pid: z.int(),
    port: z.int(),
    version: z.string(),
    instance_id: z.string(),
    home: z.string(),
    started_at: timestamp,
    sessions: z.int(),
    invocations: z.int(),
    running: z.int().meta({ description: 'Calls in flight' }),
    clients: z.int().meta({ description: 'Connected MCP clients' }),
    memory_bytes: z.int(),
    durability: z.enum(['process', 'power']),
  }),
  readOnly: true,
  destructive: false,
  idempotent: true,
  surfaces: ['mcp', 'rest', 'cli'],
  cli: { examples: ['sessiond daemon status --json'] },
});

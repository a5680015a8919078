import * as z from 'zod';

export const serverName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$/, 'use 1 to 32 of A-Z a-z 0-9 _ . -, beginning with a letter or digit')
  .refine(name => !name.includes('__'), 'a server name has no "__": it parts server and tool');

const common = {
  disabled: z.boolean().optional(),
  inject: z.enum(['auto', 'always', 'never']).optional().meta({ description: 'Whether tools gain session_id' }),
  timeout_ms: z.int().positive().optional().meta({ description: 'Longest a call may run; no limit when left out' }),
  startup_timeout_ms: z.int().positive().optional().meta({ description: 'Longest a start may take; 30000' }),
};

const stdioServerConfig = z.looseObject({
  ...common,
  type: z.literal('stdio').optional(),
  command: z.string().min(1),
  args: z.array(z.string()).optional(),
  env: z.record(z.string(), z.string()).optional(),
  cwd: z.string().optional(),
});
export type StdioServerConfig = z.infer<typeof stdioServerConfig>;

const httpServerConfig = z.looseObject({
  ...common,
  type: z.enum(['http', 'streamable-http', 'streamableHttp']).optional(),
  url: z.url({ protocol: /^https?$/ }),
  headers: z.record(z.string(), z.string()).optional(),
});
export type HttpServerConfig = z.infer<typeof httpServerConfig>;

/** One upstream of config.json, in the `mcpServers` form that people paste; keys of other programs are kept and ignored. */
export const serverConfig = z.union([stdioServerConfig, httpServerConfig]);
export type ServerConfig = StdioServerConfig | HttpServerConfig;

export const server = z.object({
  server: serverName,
  transport: z.enum(['stdio', 'http']),
  target: z.string().meta({ description: 'The exact command with its arguments, or the URL' }),
  state: z.enum(['idle', 'starting', 'ready', 'failed', 'disabled']),
  connections: z.int().meta({ description: 'Live upstream connections in the daemon' }),
  tools: z.int().nullable().meta({ description: 'Tools it lists, null until first seen' }),
  error_message: z.string().nullable(),
});
export type Server = z.infer<typeof server>;

import * as z from 'zod';
import { operation } from '../operation.ts';
import { server, serverConfig, serverName } from '../server.ts';

export const serversList = operation({
  name: 'servers_list',
  summary: 'List the MCP servers behind the gateway with their state.',
  method: 'GET',
  path: '/servers',
  input: z.object({}),
  output: z.object({ items: z.array(server) }),
  readOnly: true,
  destructive: false,
  idempotent: true,
  surfaces: ['mcp', 'rest', 'cli'],
  cli: { examples: ['sessiond servers list', 'sessiond servers list --json'] },
});

export const serversAdd = operation({
  name: 'servers_add',
  summary: 'Put an MCP server behind the gateway; its command runs with your rights.',
  method: 'POST',
  path: '/servers',
  input: z.object({ server: serverName, config: serverConfig }),
  output: server,
  readOnly: false,
  destructive: false,
  idempotent: false,
  surfaces: ['rest', 'cli'],
  cli: {
    positionals: ['server'],
    examples: [
      `sessiond servers add files --config '{"command":"npx","args":["-y","@modelcontextprotocol/server-filesystem","."]}'`,
    ],
  },
});

export const serversRemove = operation({
  name: 'servers_remove',
  summary: 'Take an MCP server from behind the gateway; its records stay.',
  method: 'DELETE',
  path: '/servers/:server',
  input: z.object({ server: serverName }),
  output: z.object({ server: serverName, removed: z.literal(true), config: serverConfig.nullable() }),
  readOnly: false,
  destructive: true,
  idempotent: false,
  surfaces: ['rest', 'cli'],
  cli: { positionals: ['server'], examples: ['sessiond servers remove files'] },
});

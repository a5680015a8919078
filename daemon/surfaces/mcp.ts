import { DaemonError, errorBody } from '../../shared/errors.ts';
import type { Operation } from '../../shared/operation.ts';
import { type OperationInput, type OperationName, operations } from '../../shared/operations/table.ts';
import { type Caller, type Invoke, strictInput } from '../invoke.ts';
import { type JsonSchema, jsonSchemaOf } from './jsonSchema.ts';

/** A JSON-RPC 2.0 message as it came: only its envelope is known. */
export interface JsonRpcMessage {
  readonly jsonrpc?: unknown;
  readonly id?: unknown;
  readonly method?: unknown;
  readonly params?: unknown;
  readonly result?: unknown;
  readonly error?: unknown;
}

/** One of sessiond's own tools as tools/list shows it. */
export interface OwnTool {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly inputSchema: JsonSchema;
  readonly outputSchema: JsonSchema;
  readonly annotations: {
    readonly title: string;
    readonly readOnlyHint: boolean;
    readonly destructiveHint: boolean;
    readonly idempotentHint: boolean;
    readonly openWorldHint: false;
  };
}

export interface McpSurface {
  readonly tools: readonly OwnTool[];
  /** The response to a request; null to a notification or a response. Never rejects. */
  handle(message: JsonRpcMessage, caller: Caller): Promise<object | null>;
}

export interface McpOptions {
  readonly version: string;
  /** Expose every operation that is on MCP, not only the daily ones: an assistant pays context for each tool. */
  readonly all?: boolean;
}

const daily: readonly OperationName[] = [
  'sessions_create',
  'sessions_get',
  'sessions_list',
  'sessions_update',
  'sessions_use',
  'sessions_complete',
  'invocations_list',
  'invocations_get',
];
const protocolVersions = ['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05'];
const instructions =
  'sessiond records the tool calls that pass it and joins them into sessions. Calls join the session of this conversation ' +
  'by themselves; sessions_use moves the conversation to another one.';

/** sessiond's own operations as an MCP server of the legacy era (initialize, ping, tools/list, tools/call). */
export function createMcpSurface(invoke: Invoke, { version, all = false }: McpOptions): McpSurface {
  const names = new Map<string, OperationName>();
  const tools: OwnTool[] = [];
  for (const name of Object.keys(operations) as OperationName[]) {
    const record: Operation = operations[name];
    if (!record.surfaces.includes('mcp') || !(all || daily.includes(name))) continue;
    names.set(name, name);
    tools.push(toolOf(name, record));
  }

  async function call(params: unknown, caller: Caller): Promise<Reply> {
    const { name, arguments: given = {} } = asObject(params) ?? {};
    const operation = typeof name === 'string' ? names.get(name) : undefined;
    if (operation === undefined) return fault(-32602, `Unknown tool: ${String(name).slice(0, 200)}`);
    try {
      // invoke checks it; the type is what a caller in this process would have to give.
      const output = await invoke(operation, given as OperationInput<typeof operation>, caller);
      return { result: { content: [{ type: 'text', text: JSON.stringify(output) }], structuredContent: output } };
    } catch (error) {
      if (!(error instanceof DaemonError)) throw error;
      return { result: { content: [{ type: 'text', text: JSON.stringify(errorBody(error)) }], isError: true } };
    }
  }

  async function reply(method: string, params: unknown, caller: Caller): Promise<Reply> {
    switch (method) {
      case 'initialize': {
        const asked = asObject(params)?.protocolVersion;
        const protocolVersion = protocolVersions.find(known => known === asked) ?? protocolVersions[0];
        return {
          result: {
            protocolVersion,
            capabilities: { tools: {} },
            serverInfo: { name: 'sessiond', title: 'sessiond', version },
            instructions,
          },
        };
      }
      case 'ping':
        return { result: {} };
      case 'tools/list':
        return asObject(params)?.cursor === undefined
          ? { result: { tools } }
          : fault(-32602, 'Invalid cursor: the list of tools has one page');
      case 'tools/call':
        return call(params, caller);
      default:
        return fault(-32601, `Method not found: ${method.slice(0, 200)}`);
    }
  }

  return {
    tools,
    async handle({ jsonrpc, id, method, params, result, error }, caller) {
      const isResponse = method === undefined && (result !== undefined || error !== undefined);
      if (id === undefined || isResponse) return null;
      if (jsonrpc !== '2.0' || typeof method !== 'string' || (typeof id !== 'string' && typeof id !== 'number'))
        return { jsonrpc: '2.0', id: null, ...fault(-32600, 'Invalid Request: not a JSON-RPC 2.0 request') };
      try {
        return { jsonrpc: '2.0', id, ...(await reply(method, params, caller)) };
      } catch (cause) {
        return { jsonrpc: '2.0', id, ...fault(-32603, cause instanceof Error ? cause.message : String(cause)) };
      }
    },
  };
}

type Reply = { result: object } | { error: { code: number; message: string } };

function fault(code: number, message: string): Reply {
  return { error: { code, message } };
}

function toolOf(name: OperationName, record: Operation): OwnTool {
  const title = titleOf(name);
  return {
    name,
    title,
    description: record.summary,
    inputSchema: jsonSchemaOf(strictInput(name), 'input'),
    outputSchema: jsonSchemaOf(record.output, 'output'),
    annotations: {
      title,
      readOnlyHint: record.readOnly,
      destructiveHint: record.destructive,
      idempotentHint: record.idempotent,
      openWorldHint: false,
    },
  };
}

/** `sessions_get` → `Sessions: get`. */
function titleOf(name: string): string {
  const [noun = '', ...verb] = name.split('_');
  return `${noun.charAt(0).toUpperCase()}${noun.slice(1)}: ${verb.join(' ')}`;
}

function asObject(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value))
    : undefined;
}

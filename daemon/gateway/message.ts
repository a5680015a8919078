/** JSON-RPC 2.0 as MCP uses it: https://modelcontextprotocol.io/specification/2025-11-25/basic */

export type RequestId = string | number;

interface MessageBase {
  /** The bytes as they came, without the line's end. */
  readonly raw: Buffer;
}

export interface RequestMessage extends MessageBase {
  readonly kind: 'request';
  readonly id: RequestId;
  readonly method: string;
  readonly params: Readonly<Record<string, unknown>> | undefined;
}

export interface NotificationMessage extends MessageBase {
  readonly kind: 'notification';
  readonly method: string;
  readonly params: Readonly<Record<string, unknown>> | undefined;
}

export interface ResponseMessage extends MessageBase {
  readonly kind: 'response';
  readonly id: RequestId;
  readonly result: unknown;
  readonly error: unknown;
}

export type Message = RequestMessage | NotificationMessage | ResponseMessage;

/** Why bytes are no message: `parse` is no JSON, `invalid` is JSON that is no JSON-RPC message. */
export type Fault =
  | { readonly kind: 'parse'; readonly id: null }
  | { readonly kind: 'invalid'; readonly id: RequestId | null };

/** Codes of JSON-RPC and of the MCP SDKs (`ConnectionClosed`, `RequestTimeout`). */
export const rpcCode = {
  parseError: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  internalError: -32603,
  connectionClosed: -32000,
  requestTimeout: -32001,
} as const;

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isId(value: unknown): value is RequestId {
  return typeof value === 'string' || typeof value === 'number';
}

/** Reads one message, or the items of a JSON-RPC batch (MCP 2025-03-26). */
export function parseMessages(raw: Buffer): (Message | Fault)[] {
  let json: unknown;
  try {
    json = JSON.parse(raw.toString('utf8'));
  } catch {
    return [{ kind: 'parse', id: null }];
  }
  if (!Array.isArray(json)) return [classify(json, raw)];
  if (json.length === 0) return [{ kind: 'invalid', id: null }];
  return json.map(item => classify(item, Buffer.from(JSON.stringify(item))));
}

/** Reads one message that is known not to be a batch. */
export function parseMessage(raw: Buffer): Message | Fault {
  return parseMessages(raw)[0] ?? { kind: 'invalid', id: null };
}

function classify(json: unknown, raw: Buffer): Message | Fault {
  if (!isRecord(json)) return { kind: 'invalid', id: null };
  const { id, method } = json;
  const params = isRecord(json.params) ? json.params : undefined;
  if (typeof method === 'string') {
    if (isId(id)) return { kind: 'request', raw, id, method, params };
    if (id === undefined) return { kind: 'notification', raw, method, params };
    return { kind: 'invalid', id: null };
  }
  if (isId(id) && ('result' in json || 'error' in json)) {
    return { kind: 'response', raw, id, result: json.result, error: json.error };
  }
  return { kind: 'invalid', id: isId(id) ? id : null };
}

export function errorResponse(id: RequestId | null, code: number, message: string, data?: unknown): Buffer {
  const error = data === undefined ? { code, message } : { code, message, data };
  return Buffer.from(JSON.stringify({ jsonrpc: '2.0', id, error }));
}

export function resultResponse(id: RequestId, result: unknown): Buffer {
  return Buffer.from(JSON.stringify({ jsonrpc: '2.0', id, result }));
}

export function notification(method: string, params?: unknown): Buffer {
  return Buffer.from(JSON.stringify({ jsonrpc: '2.0', method, params }));
}

/** One line: newlines between the tokens of a JSON text become spaces; inside strings JSON allows none. */
export function asLine(json: Buffer): Buffer {
  if (!json.includes(0x0a) && !json.includes(0x0d)) return json;
  const line = Buffer.from(json);
  for (let i = 0; i < line.length; i++) if (line[i] === 0x0a || line[i] === 0x0d) line[i] = 0x20;
  return line;
}

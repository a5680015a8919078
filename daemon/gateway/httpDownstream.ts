import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { SESSION_ID_PATTERN } from '../../shared/ids.ts';
import type { ClientConnection, ClientOptions } from './clientConnection.ts';
import { HttpExchange, HttpStream } from './httpExchange.ts';
import { MESSAGE_LIMIT } from './lineReader.ts';
import { asLine, errorResponse, parseMessages, rpcCode } from './message.ts';

/** A client that said nothing for this long, and listens to nothing, is gone. */
const IDLE_MS = 30 * 60_000;
const REAP_EVERY_MS = 60_000;

interface HttpClient {
  readonly connection: ClientConnection;
  readonly stream: HttpStream;
  readonly path: string;
  lastSeen: number;
}

/** Opens a connection for a path: all upstreams for `/mcp`, one for `/mcp/{server}`; null when there is no such server. */
export type OpenClient = (server: string | null, options: ClientOptions) => ClientConnection | null;

/** Streamable HTTP as a server (MCP 2025-03-26 to 2025-11-25), in front of client connections. */
export class HttpDownstream {
  readonly #open: OpenClient;
  readonly #clients = new Map<string, HttpClient>();
  readonly #sessionless = new Map<string, HttpClient>();
  readonly #reaper: NodeJS.Timeout;

  constructor(open: OpenClient) {
    this.#open = open;
    this.#reaper = setInterval(() => this.#reap(), REAP_EVERY_MS);
    this.#reaper.unref();
  }

  get clients(): number {
    return this.#clients.size;
  }

  /** Calls under way over HTTP. */
  get inFlight(): number {
    let count = 0;
    for (const { connection } of this.#all()) count += connection.inFlight;
    return count;
  }

  /** Serves one authorised request to `/mcp` or `/mcp/{server}`. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://localhost');
    const server = serverOf(url.pathname);
    if (server === undefined) return fail(response, 404, `No route ${url.pathname}: use /mcp or /mcp/{server}`);
    if (request.method === 'POST') await this.#post(request, response, url, server);
    else if (request.method === 'GET') this.#listen(request, response);
    else if (request.method === 'DELETE') await this.#delete(request, response);
    else {
      response.setHeader('allow', 'GET, POST, DELETE');
      fail(response, 405, `Method ${request.method} is not allowed here`);
    }
  }

  /** Ends every connection, its calls as interrupted. */
  async close(reason: string): Promise<void> {
    clearInterval(this.#reaper);
    const all = [...this.#all()];
    this.#clients.clear();
    this.#sessionless.clear();
    await Promise.all(
      all.map(async client => {
        await client.connection.close(reason, false);
        client.stream.close();
      }),
    );
  }

  *#all(): Iterable<HttpClient> {
    yield* this.#clients.values();
    yield* this.#sessionless.values();
  }

  async #post(request: IncomingMessage, response: ServerResponse, url: URL, server: string | null): Promise<void> {
    const type = request.headers['content-type'] ?? '';
    if (!/^application\/json\b/i.test(type)) {
      return fail(response, 415, `Content-Type must be application/json, not ${JSON.stringify(type)}`);
    }
    const body = await readBody(request);
    if (body === null) return fail(response, 413, 'The message is over 64 MiB, which is the limit');
    const raw = asLine(body);
    const messages = parseMessages(raw);
    const begins = messages.some(message => message.kind === 'request' && message.method === 'initialize');
    const fault = messages.find(message => message.kind === 'parse' || message.kind === 'invalid');
    if (fault !== undefined && messages.length === 1) {
      const [code, text] =
        fault.kind === 'parse'
          ? [rpcCode.parseError, 'Parse error: the body is not valid JSON']
          : [rpcCode.invalidRequest, 'Invalid Request: the body is not a JSON-RPC 2.0 message'];
      return fail(response, 400, text, code);
    }
    const found = this.#clientOf(request, url, server, begins);
    if ('fault' in found) return fail(response, found.status, found.fault, found.code);
    const { client, id } = found;
    client.lastSeen = Date.now();
    const exchange = new HttpExchange(response, id, messages.filter(message => message.kind === 'request').length);
    client.connection.receive(raw, exchange);
    exchange.received();
  }

  #listen(request: IncomingMessage, response: ServerResponse): void {
    const client = this.#known(request);
    if (client === undefined) fail(response, 400, 'GET needs the Mcp-Session-Id of an initialized connection');
    else {
      client.lastSeen = Date.now();
      client.stream.open(response);
    }
  }

  async #delete(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const client = this.#known(request);
    if (client === undefined) return fail(response, 404, 'There is no such MCP session');
    this.#clients.delete(String(request.headers['mcp-session-id']));
    client.stream.close();
    await client.connection.close('the client ended its MCP session', false);
    response.writeHead(200).end();
  }

  #known(request: IncomingMessage): HttpClient | undefined {
    const id = request.headers['mcp-session-id'];
    return typeof id === 'string' ? this.#clients.get(id) : undefined;
  }

  #clientOf(
    request: IncomingMessage,
    url: URL,
    server: string | null,
    begins: boolean,
  ): { client: HttpClient; id: string | null } | { fault: string; status: number; code?: number } {
    const given = request.headers['mcp-session-id'];
    const wrongSession = sessionFault(request, url);
    if (wrongSession !== null) return { fault: wrongSession, status: 400, code: rpcCode.invalidParams };
    if (typeof given === 'string' && !begins) {
      const known = this.#clients.get(given);
      if (known !== undefined) return { client: known, id: given };
      if (!/^[\x21-\x7e]{1,128}$/.test(given)) return { fault: 'Mcp-Session-Id is malformed', status: 400 };
      // an id from before a restart goes on: few clients recover from a 404
      return this.#make(given, request, url, server);
    }
    if (begins) return this.#make(randomUUID(), request, url, server);
    return this.#withoutSession(request, url, server);
  }

  #make(
    id: string,
    request: IncomingMessage,
    url: URL,
    server: string | null,
  ): { client: HttpClient; id: string } | { fault: string; status: number } {
    const client = this.#openClient(id, request, url, server);
    if (client === null) return unknownServer(server);
    this.#clients.set(id, client);
    return { client, id };
  }

  /** Requests outside any MCP session share one connection a path: nothing is inferred from it. */
  #withoutSession(
    request: IncomingMessage,
    url: URL,
    server: string | null,
  ): { client: HttpClient; id: null } | { fault: string; status: number } {
    const key = `${url.pathname}${url.search}\n${request.headers['x-session-id'] ?? ''}\n${workspaceOf(request) ?? ''}`;
    const known = this.#sessionless.get(key);
    if (known !== undefined) return { client: known, id: null };
    const client = this.#openClient(null, request, url, server);
    if (client === null) return unknownServer(server);
    this.#sessionless.set(key, client);
    return { client, id: null };
  }

  #openClient(id: string | null, request: IncomingMessage, url: URL, server: string | null): HttpClient | null {
    const stream = new HttpStream();
    const session = request.headers['x-session-id'] ?? url.searchParams.get('session_id');
    const connection = this.#open(server, {
      environmentConversation: null,
      connection: id,
      workspace: workspaceOf(request),
      session: typeof session === 'string' ? { id: session, attribution: 'explicit' } : null,
      send: (raw, origin, answers) => {
        if (origin instanceof HttpExchange && origin.take(raw, answers)) return;
        stream.send(raw);
      },
    });
    return connection === null ? null : { connection, stream, path: url.pathname, lastSeen: Date.now() };
  }

  #reap(): void {
    const before = Date.now() - IDLE_MS;
    for (const clients of [this.#clients, this.#sessionless]) {
      for (const [id, client] of clients) {
        if (client.lastSeen > before || client.stream.isOpen || client.connection.inFlight > 0) continue;
        clients.delete(id);
        void client.connection.close('the client has gone', false);
      }
    }
  }
}

function serverOf(pathname: string): string | null | undefined {
  if (pathname === '/mcp' || pathname === '/mcp/') return null;
  const match = /^\/mcp\/([^/]+)$/.exec(pathname);
  if (match?.[1] === undefined) return undefined;
  try {
    return decodeURIComponent(match[1]);
  } catch {
    return undefined; // a broken escape names no server
  }
}

function unknownServer(server: string | null): { fault: string; status: number } {
  return {
    fault: `There is no MCP server ${JSON.stringify(server)}; "sessiond servers list" shows those there are`,
    status: 404,
  };
}

function workspaceOf(request: IncomingMessage): string | null {
  const header = request.headers['x-sessiond-workspace'];
  if (typeof header !== 'string' || header === '' || header.length > 4096) return null;
  try {
    return decodeURIComponent(header);
  } catch {
    return header; // a path with a bare % was not encoded
  }
}

function sessionFault(request: IncomingMessage, url: URL): string | null {
  const id = request.headers['x-session-id'] ?? url.searchParams.get('session_id');
  if (id === null || (typeof id === 'string' && SESSION_ID_PATTERN.test(id))) return null;
  return `session_id ${JSON.stringify(id).slice(0, 100)} is malformed: use 1 to 64 of A-Z a-z 0-9 _ -`;
}

async function readBody(request: IncomingMessage): Promise<Buffer | null> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > MESSAGE_LIMIT) {
      request.resume();
      return null;
    }
    parts.push(part);
  }
  return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts, length);
}

function fail(
  response: ServerResponse,
  status: number,
  message: string,
  code: number = rpcCode.connectionClosed,
): void {
  const body = errorResponse(null, code, message);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': body.length });
  response.end(body);
}

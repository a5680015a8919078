import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { SESSION_ID_PATTERN } from '../../shared/ids.ts';
import { type ClientConnection, type ClientOptions, type GivenSession, isAnswered } from './clientConnection.ts';
import { HttpExchange, HttpStream } from './httpExchange.ts';
import { MESSAGE_LIMIT } from './lineReader.ts';
import { asLine, errorResponse, parseMessages, rpcCode } from './message.ts';

/** A client that said nothing for this long, and listens to nothing, is gone. */
const IDLE_MS = 30 * 60_000;
const REAP_EVERY_MS = 60_000;

interface HttpClient {
  readonly connection: ClientConnection;
  readonly stream: HttpStream;
  /** The server of its path, null for all of them. */
  readonly server: string | null;
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
  #closed = false;

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
    if (this.#closed) return fail(response, 503, 'sessiond is stopping');
    if (server === undefined) return fail(response, 404, `No route ${url.pathname}: use /mcp or /mcp/{server}`);
    if (request.method === 'POST') await this.#post(request, response, url, server);
    else if (request.method === 'GET') this.#listen(request, response, url, server);
    else if (request.method === 'DELETE') await this.#delete(request, response, server);
    else {
      response.setHeader('allow', 'GET, POST, DELETE');
      fail(response, 405, `Method ${request.method} is not allowed here`);
    }
  }

  /** Ends every connection, its calls as interrupted. */
  async close(reason: string): Promise<void> {
    this.#closed = true;
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

  /** Ends the connections to a server of their own that is not there any more, or is another one by now. */
  serverChanged(isGone: (server: string, connection: ClientConnection) => boolean): void {
    for (const clients of [this.#clients, this.#sessionless]) {
      for (const [id, { server, connection, stream }] of clients) {
        if (server === null || !isGone(server, connection)) continue;
        clients.delete(id);
        const reason = `MCP server "${server}" was removed or changed while the call ran`;
        void connection.close(reason, false).then(() => stream.close());
      }
    }
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
    const exchange = new HttpExchange(response, id, messages.filter(isAnswered).length, sessionOf(request, url));
    client.connection.receive(messages, exchange);
    exchange.received();
  }

  #listen(request: IncomingMessage, response: ServerResponse, url: URL, server: string | null): void {
    const found =
      request.headers['mcp-session-id'] === undefined
        ? { status: 400, fault: 'GET needs the Mcp-Session-Id of an initialized connection' }
        : this.#clientOf(request, url, server, false);
    if ('fault' in found) fail(response, found.status, found.fault);
    else {
      found.client.lastSeen = Date.now();
      found.client.stream.open(response);
    }
  }

  async #delete(request: IncomingMessage, response: ServerResponse, server: string | null): Promise<void> {
    const client = this.#known(request);
    if (client === undefined || client.server !== server) return fail(response, 404, 'There is no such MCP session');
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
      if (known !== undefined && known.server !== server) {
        const fault = `This Mcp-Session-Id belongs to ${pathOf(known.server)}, not to ${pathOf(server)}: initialize here`;
        return { fault, status: 404 };
      }
      if (known !== undefined) return { client: known, id: given };
      if (!/^[\x21-\x7e]{1,128}$/.test(given)) return { fault: 'Mcp-Session-Id is malformed', status: 400 };
      // an id from before a restart goes on: few clients recover from a 404
      return this.#make(given, request, url, server);
    }
    if (begins) return this.#make(randomUUID(), request, url, server);
    return this.#withoutSession(request, server);
  }

  #make(
    id: string,
    request: IncomingMessage,
    url: URL,
    server: string | null,
  ): { client: HttpClient; id: string } | { fault: string; status: number } {
    const client = this.#openClient(id, sessionOf(request, url), request, server);
    if (client === null) return unknownServer(server);
    this.#clients.set(id, client);
    return { client, id };
  }

  /** Requests outside any MCP session share one connection a path and workspace: nothing is inferred from it. */
  #withoutSession(
    request: IncomingMessage,
    server: string | null,
  ): { client: HttpClient; id: null } | { fault: string; status: number } {
    const key = `${pathOf(server)}\n${workspaceOf(request) ?? ''}`;
    const known = this.#sessionless.get(key);
    if (known !== undefined) return { client: known, id: null };
    const client = this.#openClient(null, null, request, server);
    if (client === null) return unknownServer(server);
    this.#sessionless.set(key, client);
    return { client, id: null };
  }

  #openClient(
    id: string | null,
    session: GivenSession | null,
    request: IncomingMessage,
    server: string | null,
  ): HttpClient | null {
    const stream = new HttpStream();
    const connection = this.#open(server, {
      environmentConversation: null,
      connection: id,
      workspace: workspaceOf(request),
      // what a request says holds for its own calls, what the first one said for the others
      session: origin => (origin instanceof HttpExchange ? origin.session : null) ?? session,
      send: (raw, origin, answers) => {
        if (origin instanceof HttpExchange && origin.take(raw, answers)) return;
        // an answer belongs on its own POST or nowhere, and outside an MCP session nobody can listen
        if (!answers && id !== null) stream.send(raw);
      },
      unanswered: origin => {
        if (origin instanceof HttpExchange) origin.drop();
      },
    });
    return connection === null ? null : { connection, stream, server, lastSeen: Date.now() };
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

function pathOf(server: string | null): string {
  return server === null ? '/mcp' : `/mcp/${encodeURIComponent(server)}`;
}

function sessionOf(request: IncomingMessage, url: URL): GivenSession | null {
  const id = request.headers['x-session-id'] ?? url.searchParams.get('session_id');
  return typeof id === 'string' ? { id, attribution: 'explicit' } : null;
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

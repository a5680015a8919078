import { conversationOf } from './attribution.ts';
import type { ClientConnection } from './clientConnection.ts';
import type { Link } from './link.ts';
import type { ListCache } from './listCache.ts';
import { exposedName, MergedLists, ownerPrefix } from './mergedLists.ts';
import {
  errorResponse,
  isRecord,
  type NotificationMessage,
  notification,
  type RequestMessage,
  resultResponse,
  rpcCode,
} from './message.ts';
import { OWN_NAME, type OwnTools } from './ownTools.ts';
import type { NoTarget, Routes, ToolTarget } from './routes.ts';
import type { ServerSet } from './serverSet.ts';
import { ToolLists } from './toolLists.ts';

/** Versions with the initialize handshake; a client that asks for another gets the newest of them. */
const LEGACY_VERSIONS = ['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05'];
const CAPABILITIES = {
  tools: { listChanged: true },
  prompts: { listChanged: true },
  resources: { listChanged: true, subscribe: true },
  logging: {},
  completions: {},
};
const INSTRUCTIONS =
  'Tools are named server__tool. Calls are recorded into a session by themselves; give session_id only when you were given one.';

export interface AggregateOptions {
  readonly servers: ServerSet;
  readonly cache: ListCache;
  /** Null where sessiond's own tools can't be reached. */
  readonly ownTools: OwnTools | null;
  readonly version: string;
}

/** Many upstreams as one server, names as `server__tool`: what `/mcp` and `sessiond stdio` are. */
export class AggregateRoutes implements Routes {
  readonly #connection: ClientConnection;
  readonly #options: AggregateOptions;
  readonly #links = new Map<string, Link>();
  readonly #tools: ToolLists;
  readonly #lists: MergedLists;
  readonly #stopWatching: () => void;
  #logLevel: RequestMessage | null = null;

  constructor(connection: ClientConnection, options: AggregateOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#tools = new ToolLists(connection, options.cache, options.ownTools);
    this.#lists = new MergedLists(() => this.#current());
    this.#stopWatching = options.servers.onChange(() => this.#serversChanged());
  }

  request(request: RequestMessage, origin: unknown): void {
    const { id, method } = request;
    const send = (raw: Buffer): void => this.#connection.send(raw, origin);
    switch (method) {
      case 'initialize':
        send(resultResponse(id, this.#initializeResult(request)));
        return;
      case 'ping':
        send(resultResponse(id, {}));
        return;
      case 'logging/setLevel':
        this.#logLevel = request;
        for (const link of this.#links.values()) if (link.state === 'ready') this.linkReady(link);
        send(resultResponse(id, {}));
        return;
      case 'tools/list':
        void this.#tools.list(this.#current()).then(tools => send(listResponse(request, 'tools', tools)));
        return;
      case 'prompts/list':
      case 'resources/list':
      case 'resources/templates/list':
        void this.#lists.list(method).then(({ key, items }) => send(listResponse(request, key, items)));
        return;
      case 'prompts/get':
        this.#forwardNamed(request, origin, ['name'], request.params?.name);
        return;
      case 'resources/read':
      case 'resources/subscribe':
      case 'resources/unsubscribe':
        this.#forwardUri(request, origin, request.params?.uri);
        return;
      case 'completion/complete':
        this.#complete(request, origin);
        return;
      default:
        send(errorResponse(id, rpcCode.methodNotFound, `Method not found: ${method}`));
    }
  }

  notification(message: NotificationMessage): void {
    for (const link of this.#links.values()) if (link.state === 'ready') link.send(message.raw);
  }

  ownTool(request: RequestMessage, origin: unknown): boolean {
    const { ownTools } = this.#options;
    const name = request.params?.name;
    if (ownTools === null || typeof name !== 'string' || !OWN_NAME.test(name)) return false;
    const meta = request.params?._meta;
    const { client, facts, workspace } = this.#connection;
    const conversation = conversationOf(isRecord(meta) ? meta : undefined, facts)?.conversation ?? null;
    ownTools(request.raw, { client, conversation, workspace }).then(
      answer => {
        if (answer !== null) this.#connection.send(Buffer.from(answer), origin);
      },
      (error: Error) => {
        const message = `sessiond's own tools can't be reached now: ${error.message}`;
        this.#connection.send(errorResponse(request.id, rpcCode.internalError, message), origin);
      },
    );
    return true;
  }

  toolTarget(name: string): ToolTarget | NoTarget {
    const named = this.#named(name);
    if (named !== null) return { link: named.link, tool: named.rest };
    const [server = '', tool] = name.split(/__(.*)/s);
    const known = this.#options.servers.specs().map(spec => spec.name);
    const fault =
      known.length === 0
        ? `Unknown tool: ${name}. No MCP server is configured; add one with "sessiond servers add"`
        : `Unknown tool: ${name}. Tools are named server__tool; the servers are ${known.join(', ')}`;
    return tool === undefined ? { fault, server: '', tool: name } : { fault, server, tool };
  }

  links(): Iterable<Link> {
    return this.#links.values();
  }

  fromUpstream(link: Link, message: NotificationMessage): boolean {
    if (message.method === 'notifications/tools/list_changed') this.#tools.invalidate(link);
    return false;
  }

  close(): void {
    this.#stopWatching();
  }

  #initializeResult(request: RequestMessage): unknown {
    const asked = request.params?.protocolVersion;
    const known = typeof asked === 'string' && LEGACY_VERSIONS.includes(asked);
    return {
      protocolVersion: known ? asked : LEGACY_VERSIONS[0],
      capabilities: CAPABILITIES,
      serverInfo: { name: 'sessiond', title: 'sessiond', version: this.#options.version },
      instructions: INSTRUCTIONS,
    };
  }

  /** A link for each server there is now. */
  #current(): Link[] {
    return this.#options.servers.specs().map(spec => {
      const known = this.#links.get(spec.name);
      if (known !== undefined && known.spec.fingerprint === spec.fingerprint) return known;
      if (known !== undefined) void known.close(false);
      const link = this.#connection.openLink(spec);
      this.#links.set(spec.name, link);
      return link;
    });
  }

  #serversChanged(): void {
    const names = new Set(this.#options.servers.specs().map(spec => spec.name));
    for (const [name, link] of this.#links) {
      if (names.has(name)) continue;
      this.#links.delete(name);
      void link.close(false);
    }
    for (const list of ['tools', 'prompts', 'resources']) {
      this.#connection.tell(notification(`notifications/${list}/list_changed`), null);
    }
  }

  /** The link that a prefixed name belongs to; the longest prefix wins. */
  #named(name: string): { link: Link; rest: string } | null {
    let found: { link: Link; rest: string } | null = null;
    for (const link of this.#current()) {
      const prefix = exposedName(link.spec, '');
      if (name.startsWith(prefix) && (found === null || prefix.length > ownerPrefix(found.link).length)) {
        found = { link, rest: name.slice(prefix.length) };
      }
    }
    return found;
  }

  #forwardNamed(request: RequestMessage, origin: unknown, path: readonly string[], name: unknown): void {
    const named = typeof name === 'string' ? this.#named(name) : null;
    if (named === null) {
      const message = `Unknown name: ${JSON.stringify(name) ?? 'none'}. Names are server__name`;
      this.#connection.send(errorResponse(request.id, rpcCode.invalidParams, message), origin);
      return;
    }
    this.#connection.forward(named.link, request, origin, { param: { path, value: named.rest } });
  }

  #forwardUri(request: RequestMessage, origin: unknown, uri: unknown): void {
    void this.#lists.ownerOf(typeof uri === 'string' ? uri : '').then(link => {
      if (link !== null) this.#connection.forward(link, request, origin);
      else {
        const message = `Resource not found: ${JSON.stringify(uri) ?? 'none'}`;
        this.#connection.send(errorResponse(request.id, -32002, message, { uri }), origin);
      }
    });
  }

  #complete(request: RequestMessage, origin: unknown): void {
    const ref = request.params?.ref;
    if (isRecord(ref) && ref.type === 'ref/prompt') this.#forwardNamed(request, origin, ['ref', 'name'], ref.name);
    else this.#forwardUri(request, origin, isRecord(ref) ? ref.uri : undefined);
  }

  /** Called when a link is ready: tells it the log level that the client asked for before. */
  linkReady(link: Link): void {
    if (this.#logLevel === null || link.capabilities.logging === undefined) return;
    link
      .request('logging/setLevel', this.#logLevel.params ?? {})
      .catch((error: Error) => this.#connection.context.log(error.message));
  }
}

function listResponse(request: RequestMessage, key: string, items: readonly Buffer[]): Buffer {
  const head = `{"jsonrpc":"2.0","id":${JSON.stringify(request.id)},"result":{${JSON.stringify(key)}:[`;
  const parts: Buffer[] = [Buffer.from(head)];
  items.forEach((item, i) => {
    if (i > 0) parts.push(Buffer.from(','));
    parts.push(item);
  });
  parts.push(Buffer.from(']}}'));
  return Buffer.concat(parts);
}

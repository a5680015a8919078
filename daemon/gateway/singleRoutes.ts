import type { ClientConnection } from './clientConnection.ts';
import { exposeTool, toolEntry } from './injection.ts';
import type { Link } from './link.ts';
import { errorResponse, type NotificationMessage, type RequestMessage, rpcCode } from './message.ts';
import { listItems, resultOf, withListItems } from './rewrite.ts';
import type { Routes, ToolTarget } from './routes.ts';
import type { UpstreamSpec } from './upstreamSpec.ts';

/** One upstream, nothing renamed: what `wrap` and `/mcp/{server}` are. */
export class SingleRoutes implements Routes {
  readonly #connection: ClientConnection;
  readonly #link: Link;

  constructor(connection: ClientConnection, spec: UpstreamSpec) {
    this.#connection = connection;
    this.#link = connection.openLink(spec);
  }

  request(request: RequestMessage, origin: unknown): void {
    if (request.method === 'initialize') this.#initialize(request, origin);
    else if (request.method === 'tools/list') {
      this.#connection.forward(this.#link, request, origin, { adapt: raw => this.#exposeTools(raw) });
    } else this.#connection.forward(this.#link, request, origin);
  }

  notification(message: NotificationMessage): void {
    this.#link.send(message.raw);
  }

  ownTool(): boolean {
    return false;
  }

  toolTarget(name: string): ToolTarget {
    return { link: this.#link, tool: name };
  }

  links(): Iterable<Link> {
    return [this.#link];
  }

  fromUpstream(link: Link, message: NotificationMessage): boolean {
    if (message.method === 'notifications/tools/list_changed') link.tools.clear();
    return false;
  }

  linkReady(): void {}

  close(): void {}

  /** The upstream's own answer, whole; it is the link that asks, so that it can ask again after a restart. */
  #initialize(request: RequestMessage, origin: unknown): void {
    this.#link.start().then(
      () => {
        const head = `{"jsonrpc":"2.0","id":${JSON.stringify(request.id)},"result":`;
        const result = this.#link.initializeResult ?? Buffer.from('{}');
        this.#connection.send(Buffer.concat([Buffer.from(head), result, Buffer.from('}')]), origin);
      },
      (error: Error) =>
        this.#connection.send(errorResponse(request.id, rpcCode.connectionClosed, error.message), origin),
    );
  }

  #exposeTools(raw: Buffer): Buffer {
    const result = resultOf(raw);
    if (result === null) return raw;
    const items = listItems(result, 'tools');
    this.#link.remember(items);
    const exposed = items.map(item => {
      const entry = toolEntry(item);
      return entry === null ? item : exposeTool(entry, entry.name, this.#link.spec.inject);
    });
    if (exposed.every((item, i) => item === items[i])) return raw;
    const start = raw.indexOf(result);
    return Buffer.concat([
      raw.subarray(0, start),
      withListItems(result, 'tools', exposed),
      raw.subarray(start + result.length),
    ]);
  }
}

import type { DaemonError } from '../../shared/errors.ts';
import type { InvocationStatus } from '../../shared/invocation.ts';
import { type CallerFacts, clientKey } from './attribution.ts';
import { type ActiveCall, Calls, echoOf, outcomeOf } from './calls.ts';
import type { Connect } from './link.ts';
import { Link, type LinkHost, type Pending } from './link.ts';
import {
  errorResponse,
  type Fault,
  isRecord,
  type Message,
  type NotificationMessage,
  notification,
  type RequestId,
  type RequestMessage,
  type ResponseMessage,
  rpcCode,
} from './message.ts';
import type { Recorder } from './recorder.ts';
import { paramsOf, rewriteRequest, rewriteResponse, withId, withParam } from './rewrite.ts';
import type { Routes } from './routes.ts';
import type { Sessions } from './sessions.ts';
import { ToolCalls } from './toolCalls.ts';
import type { UpstreamSpec } from './upstreamSpec.ts';

/** What a connection needs from the process it runs in. */
export interface GatewayContext {
  readonly recorder: Recorder;
  readonly sessions: Sessions;
  readonly connect: Connect;
  /** Names the process in records, so that what it left running can be ended. */
  readonly owner: string;
  readonly log: (message: string) => void;
  /** Told of each change of an upstream's state. */
  readonly onLink?: (link: Link) => void;
}

/** What is known of a client before it speaks. */
export interface ClientOptions {
  readonly environmentConversation: string | null;
  /** The conversation that this connection is, null where nothing may be inferred. */
  readonly connection: string | null;
  readonly workspace: string | null;
  /** The id that came beside a call's arguments: `--session`, a header, a query parameter; `origin` as `receive` got it. */
  readonly session: (origin: unknown) => GivenSession | null;
  /**
   * Writes one message to the client; `origin` is what `receive` got with the request that it belongs to, or null;
   * `answers` tells the answer to that request from what comes before it.
   */
  readonly send: (raw: Buffer, origin: unknown, answers: boolean) => void;
  /** Told that a request gets no answer, because its client cancelled it. */
  readonly unanswered?: (origin: unknown) => void;
}

/** A session that was named for a call; `attribution` is `environment` where the variable named it. */
export interface GivenSession {
  readonly id: string;
  readonly attribution: 'explicit' | 'environment';
}

const DEFAULT_INITIALIZE = Buffer.from(
  '{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"unknown","version":"0"}}',
);

/** One client of the gateway: its requests go to the upstreams its routes name, their answers come back to it. */
export class ClientConnection implements LinkHost {
  readonly options: ClientOptions;
  readonly context: GatewayContext;
  readonly calls: Calls;
  client: string | null = null;
  clientVersion: string | null = null;
  workspace: string | null;
  initializeParams: Buffer = DEFAULT_INITIALIZE;
  readonly #routes: Routes;
  readonly #toolCalls: ToolCalls;
  /** Requests of upstreams that wait for the client's answer, by the id the client sees. */
  readonly #serverRequests = new Map<RequestId, { link: Link; id: RequestId }>();
  #nextServerRequest = 1;
  #inFlight = 0;
  #closed = false;

  constructor(context: GatewayContext, options: ClientOptions, routes: (connection: ClientConnection) => Routes) {
    this.context = context;
    this.options = options;
    this.workspace = options.workspace;
    this.calls = new Calls(context.recorder, context.owner);
    this.#routes = routes(this);
    this.#toolCalls = new ToolCalls(this, this.#routes);
  }

  /** A new link to an upstream, speaking as this client. */
  openLink(spec: UpstreamSpec): Link {
    return new Link(spec, this.context.connect, this, () => this.initializeParams);
  }

  /** True while its links are to the server as it is described here. */
  serves(spec: UpstreamSpec): boolean {
    return [...this.#routes.links()].every(link => link.spec.fingerprint === spec.fingerprint);
  }

  get facts(): CallerFacts {
    const { environmentConversation, connection } = this.options;
    return { client: this.client, environmentConversation, connection };
  }

  /** Takes one message, or the items of a batch, as parseMessages read them. Requests and faults get an answer each. */
  receive(messages: readonly (Message | Fault)[], origin: unknown): void {
    for (const message of messages) {
      if (isAnswered(message)) this.#inFlight += 1;
      if (message.kind === 'parse') {
        this.send(errorResponse(null, rpcCode.parseError, 'Parse error: the message is not valid JSON'), origin);
      } else if (message.kind === 'invalid') {
        this.send(
          errorResponse(message.id, rpcCode.invalidRequest, 'Invalid Request: not a JSON-RPC 2.0 message'),
          origin,
        );
      } else this.#take(message, origin);
    }
  }

  /** Writes the answer to a request. */
  send(raw: Buffer, origin: unknown): void {
    this.#inFlight -= 1;
    if (!this.#closed) this.options.send(raw, origin, true);
  }

  /** Writes a notification, or a request of an upstream. */
  tell(raw: Buffer, origin: unknown): void {
    if (!this.#closed) this.options.send(raw, origin, false);
  }

  /** Sends a request on; the answer comes back through onResponse. A link that is not ready is started first. */
  forward(link: Link, request: RequestMessage, origin: unknown, change: ForwardChange = {}): void {
    const pending: Pending = {
      method: request.method,
      client: { id: request.id, origin },
      progressToken: progressToken(request),
      call: change.call ?? null,
      adapt: change.adapt ?? null,
      sent: false,
      settle: null,
    };
    const id = link.allocate(pending);
    if (link.state === 'ready') {
      this.#forwardNow(link, id, request, pending, change);
      return;
    }
    link.start().then(
      () => {
        // it may have been cancelled or interrupted while it waited
        if (link.pendings.has(id)) this.#forwardNow(link, id, request, pending, change);
      },
      (error: DaemonError) => {
        if (link.pendings.delete(id)) this.onLost(link, pending, error);
      },
    );
  }

  onResponse(_link: Link, pending: Pending, response: ResponseMessage): void {
    const { client, call } = pending;
    if (client === null) return;
    if (call === null) {
      const raw = withId(response, client.id);
      this.send(pending.adapt === null ? raw : pending.adapt(raw), client.origin);
      return;
    }
    const { status, errorMessage } = outcomeOf(response);
    const handedOver = this.calls.end(call, status, errorMessage, response.raw);
    const answer = rewriteResponse(response, client.id, echoOf(call));
    if (handedOver === undefined) this.send(answer, client.origin);
    else void handedOver.then(() => this.send(answer, client.origin));
  }

  onLost(_link: Link, pending: Pending, error: DaemonError): void {
    const { client, call } = pending;
    if (client === null) return;
    const ran = call === null || !pending.sent ? '' : '. The call may have run: check before you repeat it';
    const answer = errorResponse(client.id, rpcCode.connectionClosed, `${error.message}${ran}`);
    if (call !== null) this.finish(call, 'failed', error.message, null, () => this.send(answer, client.origin));
    else this.send(answer, client.origin);
  }

  /** Ends a call that has no upstream response, then goes on. */
  finish(
    call: ActiveCall,
    status: Exclude<InvocationStatus, 'running'>,
    message: string | null,
    response: Buffer | null,
    then: () => void,
  ): void {
    const handedOver = this.calls.end(call, status, message, response);
    if (handedOver === undefined) then();
    else void handedOver.then(then);
  }

  onRequest(link: Link, request: RequestMessage): void {
    const id = this.#nextServerRequest;
    this.#nextServerRequest += 1;
    this.#serverRequests.set(id, { link, id: request.id });
    this.tell(withId(request, id), this.#originFor(link, undefined));
  }

  onNotification(link: Link, message: NotificationMessage): void {
    if (message.method === 'notifications/cancelled') {
      for (const [id, waiting] of this.#serverRequests) {
        if (waiting.link !== link || waiting.id !== message.params?.requestId) continue;
        this.#serverRequests.delete(id);
        this.tell(withParam(message.raw, 'requestId', JSON.stringify(id)), null);
      }
      return;
    }
    if (this.#routes.fromUpstream(link, message)) return;
    this.tell(message.raw, this.#originFor(link, message.params?.progressToken));
  }

  onStateChange(link: Link): void {
    this.context.onLink?.(link);
    if (link.state === 'ready') this.#routes.linkReady(link);
    if (link.state === 'failed') {
      this.context.log(`MCP server "${link.spec.name}" ${link.lastError}`);
      for (const [id, waiting] of this.#serverRequests) if (waiting.link === link) this.#serverRequests.delete(id);
    }
  }

  /** Ends the connection: calls in flight are answered and recorded as `interrupted`, upstreams are closed. */
  async close(reason: string, urgent: boolean): Promise<void> {
    if (this.#closed) return;
    const ends: Promise<void>[] = [];
    for (const link of this.#routes.links()) {
      for (const [id, pending] of link.pendings) {
        const { client, call } = pending;
        if (client === null) continue;
        link.pendings.delete(id);
        const handedOver = call === null ? undefined : this.calls.end(call, 'interrupted', reason, null);
        if (handedOver !== undefined) ends.push(handedOver);
        this.send(errorResponse(client.id, rpcCode.connectionClosed, reason), client.origin);
      }
    }
    this.#closed = true;
    this.#routes.close();
    await Promise.all([...ends, ...[...this.#routes.links()].map(link => link.close(urgent))]);
  }

  /** Resolves when no request waits for its answer any more, at the latest after `ms`. */
  async drained(ms: number): Promise<void> {
    const until = Date.now() + ms;
    while (this.inFlight > 0 && Date.now() < until) await new Promise(resolve => setTimeout(resolve, 10));
  }

  /** Calls and other requests that have no answer yet. */
  get inFlight(): number {
    return this.#inFlight;
  }

  #take(message: Message, origin: unknown): void {
    if (message.kind === 'response') this.#fromClient(message);
    else if (message.kind === 'notification') this.#notified(message);
    else if (message.method === 'tools/call') {
      if (!this.#routes.ownTool(message, origin)) this.#toolCalls.call(message, origin);
    } else if (message.method === 'server/discover') {
      // the legacy era only: a client of both eras falls back to initialize
      this.send(errorResponse(message.id, rpcCode.methodNotFound, 'Method not found'), origin);
    } else {
      if (message.method === 'initialize') this.#introduced(message);
      this.#routes.request(message, origin);
    }
  }

  #introduced(request: RequestMessage): void {
    this.initializeParams = Buffer.from(paramsOf(request.raw));
    const info = request.params?.clientInfo;
    if (!isRecord(info)) return;
    if (typeof info.name === 'string') this.client = clientKey(info.name);
    if (typeof info.version === 'string') this.clientVersion = info.version.slice(0, 64);
  }

  #fromClient(response: ResponseMessage): void {
    const waiting = this.#serverRequests.get(response.id);
    if (waiting === undefined) return;
    this.#serverRequests.delete(response.id);
    waiting.link.send(withId(response, waiting.id));
  }

  #notified(message: NotificationMessage): void {
    if (message.method === 'notifications/initialized') return; // each link says it for itself
    if (message.method !== 'notifications/cancelled') {
      this.#routes.notification(message);
      return;
    }
    // where many callers share a connection their ids are the same: no one's call is another's to cancel
    if (this.options.connection === null) return;
    const requestId = message.params?.requestId;
    for (const link of this.#routes.links()) {
      for (const [id, pending] of link.pendings) {
        if (pending.client === null || pending.client.id !== requestId) continue;
        if (pending.sent) link.send(withParam(message.raw, 'requestId', JSON.stringify(id)));
        link.giveUp(id);
        this.#inFlight -= 1;
        this.options.unanswered?.(pending.client.origin);
        if (pending.call !== null) this.finish(pending.call, 'cancelled', cancelReason(message), null, () => {});
      }
    }
    // a request that has been answered is no longer here: its late cancellation is none
  }

  #forwardNow(link: Link, id: RequestId, request: RequestMessage, pending: Pending, change: ForwardChange): void {
    const raw = rewriteRequest(request, {
      id,
      param: change.param,
      dropSessionArgument: change.dropSessionArgument ?? false,
      addMeta: change.addMeta ?? [],
    });
    const handedOver = change.onForward?.(raw);
    if (handedOver === undefined) this.#sendTimed(link, id, raw, pending);
    else void handedOver.then(() => this.#sendTimed(link, id, raw, pending));
  }

  #sendTimed(link: Link, id: RequestId, raw: Buffer, pending: Pending): void {
    if (link.pendings.get(id) !== pending) return; // cancelled or lost while its start was committed
    pending.sent = true;
    const { call, client } = pending;
    const { timeoutMs } = link.spec;
    if (call !== null && client !== null && timeoutMs > 0) {
      call.timer = setTimeout(() => {
        link.giveUp(id);
        link.send(notification('notifications/cancelled', { requestId: id, reason: 'timed out' }));
        const message = `MCP server "${link.spec.name}" did not answer ${call.tool} within ${timeoutMs} ms (timeout_ms). The call may have run: check before you repeat it`;
        const answer = errorResponse(client.id, rpcCode.requestTimeout, message);
        this.finish(call, 'timed_out', message, null, () => this.send(answer, client.origin));
      }, timeoutMs);
    }
    link.send(raw);
  }

  /** The request whose stream a message of the upstream belongs on: by its progress token, else the only one there is. */
  #originFor(link: Link, token: unknown): unknown {
    let only: Pending | null = null;
    let count = 0;
    for (const pending of link.pendings.values()) {
      if (pending.client === null) continue;
      if (token !== undefined && pending.progressToken === token) return pending.client.origin;
      only = pending;
      count += 1;
    }
    return count === 1 ? (only?.client?.origin ?? null) : null;
  }
}

/** What changes in a request on its way. */
export interface ForwardChange {
  readonly param?: { readonly path: readonly string[]; readonly value: string };
  readonly dropSessionArgument?: boolean;
  readonly addMeta?: readonly (readonly [string, string])[];
  readonly call?: ActiveCall;
  readonly adapt?: (raw: Buffer) => Buffer;
  /** Gets the bytes that go upstream, just before they do. */
  readonly onForward?: (raw: Buffer) => Promise<void> | undefined;
}

/** Whether a message gets an answer: a request does, and so does what is no message. */
export function isAnswered(message: Message | Fault): boolean {
  return message.kind !== 'notification' && message.kind !== 'response';
}

function progressToken(request: RequestMessage): unknown {
  const meta = request.params?._meta;
  return isRecord(meta) ? meta.progressToken : undefined;
}

function cancelReason(message: NotificationMessage): string {
  const reason = message.params?.reason;
  return typeof reason === 'string' ? `cancelled by the client: ${reason.slice(0, 200)}` : 'cancelled by the client';
}

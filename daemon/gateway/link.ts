import { DaemonError } from '../../shared/errors.ts';
import type { ActiveCall } from './calls.ts';
import { type ToolEntry, toolEntry } from './injection.ts';
import {
  isRecord,
  type NotificationMessage,
  notification,
  parseMessages,
  type RequestId,
  type RequestMessage,
  type ResponseMessage,
} from './message.ts';
import { listItems, resultOf } from './rewrite.ts';
import type { Transport, TransportEvents } from './transport.ts';
import type { UpstreamSpec } from './upstreamSpec.ts';

/** A request that went upstream and has no answer yet. */
export interface Pending {
  readonly method: string;
  /** The client's request, or null for one of our own. */
  readonly client: { readonly id: RequestId; readonly origin: unknown } | null;
  readonly progressToken: unknown;
  readonly call: ActiveCall | null;
  /** Changes the answer before the client gets it. */
  readonly adapt: ((raw: Buffer) => Buffer) | null;
  /** False while it waits for the upstream to start. */
  sent: boolean;
  /** For our own requests. */
  readonly settle: ((outcome: ResponseMessage | DaemonError) => void) | null;
}

/** What a link tells the client connection that it belongs to. */
export interface LinkHost {
  onResponse(link: Link, pending: Pending, response: ResponseMessage): void;
  onRequest(link: Link, request: RequestMessage): void;
  onNotification(link: Link, message: NotificationMessage): void;
  /** The upstream is gone before it answered. */
  onLost(link: Link, pending: Pending, error: DaemonError): void;
  onStateChange(link: Link): void;
}

export type LinkState = 'idle' | 'starting' | 'ready' | 'failed';
export type Connect = (spec: UpstreamSpec, events: TransportEvents) => Transport;

const FIRST_BACKOFF_MS = 250;
const LONGEST_BACKOFF_MS = 30_000;
/** An upstream that ran this long is taken for healthy: its next death restarts it at once. */
const STABLE_MS = 5_000;
const GIVEN_UP_KEPT = 1_000;
/** A list of more pages than this has no end. */
const MOST_PAGES = 1_000;

/** One client connection's connection to one upstream, started when first needed and again after it died. */
export class Link {
  readonly spec: UpstreamSpec;
  readonly pendings = new Map<RequestId, Pending>();
  readonly tools = new Map<string, ToolEntry>();
  state: LinkState = 'idle';
  lastError: string | null = null;
  /** The upstream's answer to initialize, as bytes of its `result`. */
  initializeResult: Buffer | null = null;
  capabilities: Readonly<Record<string, unknown>> = {};

  readonly #host: LinkHost;
  readonly #connect: Connect;
  readonly #initializeParams: () => Buffer;
  #transport: Transport | null = null;
  #starting: Promise<void> | null = null;
  #nextId = 1;
  #failures = 0;
  #retryAt = 0;
  #readySince = 0;
  /** Requests that were given up, and may be answered all the same: until then their ids are no one else's. */
  readonly #givenUp = new Set<RequestId>();
  #closed = false;

  constructor(spec: UpstreamSpec, connect: Connect, host: LinkHost, initializeParams: () => Buffer) {
    this.spec = spec;
    this.#connect = connect;
    this.#host = host;
    this.#initializeParams = initializeParams;
  }

  /** Resolves when the upstream has answered initialize; rejects with `upstream_failed`, and at once while backing off. */
  start(): Promise<void> {
    if (this.state === 'ready') return Promise.resolve();
    if (this.#closed)
      return Promise.reject(new DaemonError('unavailable', `the connection to "${this.spec.name}" is closed`));
    if (this.#starting === null) {
      const wait = this.#retryAt - Date.now();
      if (wait > 0)
        return Promise.reject(this.#failure(`${this.lastError}; it is tried again in ${Math.ceil(wait / 1000)} s`));
      this.#starting = this.#initialize().finally(() => {
        this.#starting = null;
      });
    }
    return this.#starting;
  }

  /** The id that a request gets at this upstream: the client's own where it is free, so that its bytes can stay. */
  allocate(pending: Pending): RequestId {
    let id = pending.client?.id;
    while (id === undefined || this.pendings.has(id) || this.#givenUp.has(id)) {
      id = `sessiond-${this.#nextId}`;
      this.#nextId += 1;
    }
    this.pendings.set(id, pending);
    return id;
  }

  /** Waits for the answer to a request no longer; one that comes late is passed over. */
  giveUp(id: RequestId): void {
    const pending = this.pendings.get(id);
    this.pendings.delete(id);
    if (pending?.sent !== true) return;
    this.#givenUp.add(id);
    if (this.#givenUp.size <= GIVEN_UP_KEPT) return;
    for (const oldest of this.#givenUp) {
      this.#givenUp.delete(oldest);
      return;
    }
  }

  send(raw: Buffer): void {
    this.#transport?.send(raw);
  }

  /** A request of our own; rejects when the upstream dies, answers an error, or takes longer than its start may. */
  async request(method: string, params: unknown): Promise<Buffer> {
    await this.start();
    const response = await this.#ask(method, Buffer.from(JSON.stringify(params)));
    const result = resultOf(response.raw);
    if (result === null) throw this.#failure(`answered ${method} with an error: ${JSON.stringify(response.error)}`);
    return result;
  }

  /** Every item of a list, over all its pages, as the upstream wrote them. */
  async list(method: string, key: string): Promise<Buffer[]> {
    const items: Buffer[] = [];
    const seen = new Set<string>();
    let cursor: string | undefined;
    do {
      if (seen.size === MOST_PAGES) throw this.#failure(`answered ${method} with more than ${MOST_PAGES} pages`);
      const result = await this.request(method, cursor === undefined ? {} : { cursor });
      items.push(...listItems(result, key));
      const page: unknown = JSON.parse(result.toString('utf8'));
      cursor = isRecord(page) && typeof page.nextCursor === 'string' ? page.nextCursor : undefined;
      if (cursor !== undefined && seen.has(cursor)) break; // a cursor that leads back to itself
      if (cursor !== undefined) seen.add(cursor);
    } while (cursor !== undefined);
    return items;
  }

  /** Learns the tools, so that a `session_id` argument can be told from a tool's own. */
  async learnTools(): Promise<void> {
    this.remember(await this.list('tools/list', 'tools'));
  }

  /** Takes note of the tools in a list. */
  remember(items: readonly Buffer[]): void {
    for (const item of items) {
      const entry = toolEntry(item);
      if (entry !== null) this.tools.set(entry.name, entry);
    }
  }

  async close(urgent: boolean): Promise<void> {
    this.#closed = true;
    this.#setState('idle');
    const transport = this.#transport;
    this.#transport = null;
    await transport?.close(urgent);
    this.#lose(this.#failure('was closed'));
  }

  async #initialize(): Promise<void> {
    this.#setState('starting');
    this.#givenUp.clear();
    const transport = this.#open();
    this.#transport = transport;
    try {
      const response = await this.#ask('initialize', this.#initializeParams());
      const result = resultOf(response.raw);
      if (result === null) throw this.#failure(`refused initialize: ${JSON.stringify(response.error)}`);
      const parsed: unknown = response.result;
      const version = isRecord(parsed) && typeof parsed.protocolVersion === 'string' ? parsed.protocolVersion : null;
      if (version !== null) transport.setProtocolVersion(version);
      this.capabilities = isRecord(parsed) && isRecord(parsed.capabilities) ? parsed.capabilities : {};
      this.initializeResult = Buffer.from(result);
      this.#readySince = Date.now();
      transport.send(notification('notifications/initialized'));
      this.#setState('ready');
    } catch (error) {
      if (this.#transport === transport) {
        this.#transport = null;
        void transport.close(true);
        this.#backOff(error instanceof Error ? error.message : String(error));
      }
      throw error;
    }
  }

  #open(): Transport {
    try {
      const transport: Transport = this.#connect(this.spec, {
        onMessage: raw => this.#receive(raw),
        onOversize: head => this.#oversize(head),
        onClose: reason => this.#onClose(transport, reason),
      });
      return transport;
    } catch (error) {
      const reason = `could not be started: ${error instanceof Error ? error.message : String(error)}`;
      this.#backOff(reason);
      throw this.#failure(reason);
    }
  }

  #ask(method: string, params: Buffer): Promise<ResponseMessage> {
    return new Promise((resolve, reject) => {
      const { startupTimeoutMs } = this.spec;
      const settle = (outcome: ResponseMessage | DaemonError): void => {
        clearTimeout(timer);
        this.pendings.delete(id);
        if (outcome instanceof DaemonError) reject(outcome);
        else resolve(outcome);
      };
      const id = this.allocate({
        method,
        client: null,
        progressToken: undefined,
        call: null,
        adapt: null,
        sent: true,
        settle,
      });
      const timer = setTimeout(
        () => settle(this.#failure(`did not answer ${method} within ${startupTimeoutMs} ms (startup_timeout_ms)`)),
        startupTimeoutMs,
      );
      const head = `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"method":${JSON.stringify(method)},"params":`;
      this.send(Buffer.concat([Buffer.from(head), params, Buffer.from('}')]));
    });
  }

  #receive(raw: Buffer): void {
    for (const message of parseMessages(raw)) {
      if (message.kind === 'response') this.#answer(message);
      else if (message.kind === 'request') this.#host.onRequest(this, message);
      else if (message.kind === 'notification') this.#host.onNotification(this, message);
      // what is no message (a print statement on stdout, say) is passed over
    }
  }

  #answer(response: ResponseMessage): void {
    if (this.#givenUp.delete(response.id)) return;
    const pending = this.pendings.get(response.id);
    if (pending === undefined) return;
    this.pendings.delete(response.id);
    if (pending.settle !== null) pending.settle(response);
    else this.#host.onResponse(this, pending, response);
  }

  /** An answer too large to pass ends its own call; anything else too large ends the connection. */
  #oversize(head: Buffer): void {
    const written = /"id"\s*:\s*(\d+|"[^"\\]*")/.exec(head.toString('latin1'))?.[1];
    const id: RequestId | undefined = written === undefined ? undefined : JSON.parse(written);
    const pending = id === undefined ? undefined : this.pendings.get(id);
    const error = this.#failure('sent a message over 64 MiB, which is the limit');
    if (id === undefined || pending === undefined) {
      const transport = this.#transport;
      if (transport !== null) {
        this.#onClose(transport, 'sent a line over 64 MiB that answers no call; it was ended');
        void transport.close(true);
      }
      return;
    }
    this.pendings.delete(id);
    if (pending.settle !== null) pending.settle(error);
    else this.#host.onLost(this, pending, error);
  }

  #onClose(transport: Transport, reason: string): void {
    if (this.#transport !== transport) return;
    this.#transport = null;
    const stable = this.state === 'ready' && Date.now() - this.#readySince >= STABLE_MS;
    if (stable) this.#failures = 0;
    this.#backOff(reason);
    this.#lose(this.#failure(reason));
  }

  #backOff(reason: string): void {
    this.lastError = reason;
    // the first death restarts at once, each further one waits twice as long
    const wait = this.#failures === 0 ? 0 : Math.min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** (this.#failures - 1));
    this.#failures += 1;
    this.#retryAt = Date.now() + wait;
    this.#setState('failed');
  }

  #lose(error: DaemonError): void {
    const lost = [...this.pendings.values()];
    this.pendings.clear();
    for (const pending of lost) {
      if (pending.settle !== null) pending.settle(error);
      else this.#host.onLost(this, pending, error);
    }
  }

  #setState(state: LinkState): void {
    this.state = state;
    if (state === 'ready') this.lastError = null;
    this.#host.onStateChange(this);
  }

  #failure(what: string): DaemonError {
    return new DaemonError('upstream_failed', `MCP server "${this.spec.name}" ${what}`);
  }
}

import http from 'node:http';
import https from 'node:https';
import { createParser } from 'eventsource-parser';
import { MESSAGE_LIMIT } from './lineReader.ts';
import { asLine, errorResponse, parseMessage, parseMessages } from './message.ts';
import type { Transport, TransportEvents } from './transport.ts';
import type { HttpSpec } from './upstreamSpec.ts';

/** Streamable HTTP as a client: https://modelcontextprotocol.io/specification/2025-11-25/basic/transports */
export class HttpTransport implements Transport {
  readonly pid = null;
  readonly #url: URL;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #events: TransportEvents;
  readonly #agent: http.Agent;
  readonly #open = new Set<http.ClientRequest>();
  #session: string | null = null;
  #version: string | null = null;
  #closed = false;

  constructor(spec: HttpSpec, events: TransportEvents) {
    this.#url = new URL(spec.url);
    this.#headers = spec.headers;
    this.#events = events;
    this.#agent =
      this.#url.protocol === 'https:' ? new https.Agent({ keepAlive: true }) : new http.Agent({ keepAlive: true });
  }

  setProtocolVersion(version: string): void {
    this.#version = version;
    this.#listen();
  }

  send(message: Buffer): void {
    const request = this.#request('POST', {
      'content-type': 'application/json',
      'content-length': String(message.length),
    });
    request.once('response', response => this.#answered(message, response));
    request.once('error', error =>
      this.#failed(message, `could not be reached at ${this.#url.origin}: ${error.message}`),
    );
    request.end(message);
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#session !== null) await this.#endSession();
    this.#letGo();
  }

  #letGo(): void {
    for (const request of this.#open) request.destroy();
    this.#agent.destroy();
  }

  /** The stream of what the server says by itself; 405 means that it has none. */
  #listen(): void {
    const request = this.#request('GET', { accept: 'text/event-stream' });
    request.once('response', response => {
      if (response.statusCode === 200) this.#readStream(response, () => this.#listenAgain());
      else response.resume();
    });
    request.once('error', () => this.#listenAgain());
    request.end();
  }

  #listenAgain(): void {
    if (!this.#closed) setTimeout(() => this.#closed || this.#listen(), 1000).unref();
  }

  #request(method: string, headers: Record<string, string>): http.ClientRequest {
    const send = this.#url.protocol === 'https:' ? https.request : http.request;
    const request = send(this.#url, {
      method,
      agent: this.#agent,
      headers: {
        accept: 'application/json, text/event-stream',
        ...this.#headers,
        ...headers,
        ...(this.#session === null ? {} : { 'mcp-session-id': this.#session }),
        ...(this.#version === null ? {} : { 'mcp-protocol-version': this.#version }),
      },
    });
    this.#open.add(request);
    request.once('close', () => this.#open.delete(request));
    return request;
  }

  #answered(message: Buffer, response: http.IncomingMessage): void {
    const status = response.statusCode ?? 0;
    const session = response.headers['mcp-session-id'];
    if (typeof session === 'string') this.#session = session;
    if (status === 404 && this.#session !== null) {
      response.resume();
      this.#closed = true;
      this.#letGo();
      this.#events.onClose('no longer knows its MCP session (HTTP 404)');
      return;
    }
    if ((response.headers['content-type'] ?? '').startsWith('text/event-stream')) {
      const pending = pendingId(message);
      this.#readStream(response, () => this.#streamEnded(message, pending), pending);
      return;
    }
    this.#readBody(
      response,
      body => {
        if (status >= 200 && status < 300 && answers(body, message)) {
          if (body.length > 0) this.#events.onMessage(asLine(body));
        } else this.#refused(message, status, body);
      },
      () => this.#failed(message, 'closed the connection before its answer was whole; the call may have run'),
    );
  }

  /** A JSON-RPC answer passes whatever its status; anything else becomes an error of the call. */
  #refused(message: Buffer, status: number, body: Buffer): void {
    const answer = body.length > 0 ? parseMessage(body) : null;
    if (answer?.kind === 'response') this.#events.onMessage(asLine(body));
    else this.#failed(message, `answered HTTP ${status} at ${this.#url.href}: ${body.toString('utf8', 0, 300)}`);
  }

  #readBody(response: http.IncomingMessage, done: (body: Buffer) => void, broken: () => void): void {
    const parts: Buffer[] = [];
    let length = 0;
    response.once('close', () => {
      if (!response.complete && length <= MESSAGE_LIMIT) broken();
    });
    response.on('data', (part: Buffer) => {
      length += part.length;
      if (length > MESSAGE_LIMIT) {
        response.destroy();
        this.#events.onOversize(parts[0]?.subarray(0, 4096) ?? part.subarray(0, 4096));
      } else parts.push(part);
    });
    response.once('end', () => done(Buffer.concat(parts, length)));
  }

  #readStream(response: http.IncomingMessage, ended: () => void, pending?: { answered: boolean; id: unknown }): void {
    const parser = createParser({
      onEvent: event => {
        if (event.data === '' || (event.event !== undefined && event.event !== 'message')) return;
        const raw = asLine(Buffer.from(event.data));
        if (pending !== undefined && !pending.answered) {
          const message = parseMessage(raw);
          if (message.kind === 'response' && message.id === pending.id) pending.answered = true;
        }
        this.#events.onMessage(raw);
      },
    });
    response.setEncoding('utf8');
    response.on('data', (text: string) => parser.feed(text));
    response.once('close', ended);
  }

  #streamEnded(message: Buffer, pending: { answered: boolean } | undefined): void {
    if (pending !== undefined && !pending.answered) {
      this.#failed(message, 'closed the stream before it answered; the call may have run');
    }
  }

  #failed(message: Buffer, reason: string): void {
    if (this.#closed) return;
    const request = parseMessage(message);
    if (request.kind === 'request') {
      if (request.method === 'initialize') this.#events.onClose(reason);
      else this.#events.onMessage(errorResponse(request.id, -32000, `MCP server ${reason}`));
    }
  }

  #endSession(): Promise<void> {
    return new Promise(resolve => {
      const request = this.#request('DELETE', {});
      request.setTimeout(1000, () => request.destroy());
      request.once('response', response => response.resume());
      request.once('close', () => resolve());
      request.once('error', () => resolve());
      request.end();
    });
  }
}

/** Whether a body is what its request asked for; a page of a proxy, say, is not, and the call would wait for ever. */
function answers(body: Buffer, message: Buffer): boolean {
  const request = parseMessage(message);
  if (request.kind !== 'request') return true;
  return parseMessages(body).some(each => each.kind === 'response' && each.id === request.id);
}

function pendingId(message: Buffer): { answered: boolean; id: unknown } | undefined {
  const request = parseMessage(message);
  return request.kind === 'request' ? { answered: false, id: request.id } : undefined;
}

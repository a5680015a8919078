import type { ServerResponse } from 'node:http';
import type { GivenSession } from './clientConnection.ts';

/** A call that takes longer than this answers as a stream, so that neither side takes the silence for a dead line. */
const STREAM_AFTER_MS = 2_000;
const KEEP_ALIVE_MS = 15_000;
/** Messages kept for a client that listens to nothing yet. */
const KEPT = 100;
const KEPT_BYTES = 1024 * 1024;
/** A client that leaves this much unread is not told more than the answers that it waits for. */
const UNREAD_BYTES = 16 * 1024 * 1024;

const DATA = Buffer.from('event: message\ndata: ');
const END = Buffer.from('\n\n');

const streamHeaders = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
};

function sessionHeader(id: string | null): Record<string, string> {
  return id === null ? {} : { 'mcp-session-id': id };
}

/** One POST: its answer is plain JSON when that is all there is to say, else an event stream. */
export class HttpExchange {
  readonly #response: ServerResponse;
  readonly #id: string | null;
  #awaited: number;
  readonly #single: boolean;
  /** The session that this POST names. */
  readonly session: GivenSession | null;
  #streaming = false;
  #timer: NodeJS.Timeout | undefined;

  /** `awaited`: how many answers the POST gets. */
  constructor(response: ServerResponse, id: string | null, awaited: number, session: GivenSession | null) {
    this.session = session;
    this.#response = response;
    this.#id = id;
    this.#awaited = awaited;
    this.#single = awaited === 1;
    response.once('close', () => clearTimeout(this.#timer));
  }

  /** To be called when the connection has the message: notifications and answers are acknowledged at once. */
  received(): void {
    if (this.#response.writableEnded || this.#response.destroyed) return;
    if (this.#awaited === 0) this.#response.writeHead(202, sessionHeader(this.#id)).end();
    else if (!this.#streaming) this.#timer = setTimeout(() => this.#stream(), STREAM_AFTER_MS);
  }

  /** Writes a message that belongs to this POST, an answer or one before it; false when it can't any more. */
  take(raw: Buffer, answers: boolean): boolean {
    if (this.#response.writableEnded || this.#response.destroyed) return false;
    if (!answers && this.#response.writableLength > UNREAD_BYTES) return true;
    if (answers) this.#awaited -= 1;
    if (answers && this.#single && !this.#streaming) {
      clearTimeout(this.#timer);
      this.#response.writeHead(200, {
        'content-type': 'application/json',
        'content-length': raw.length,
        ...sessionHeader(this.#id),
      });
      this.#response.end(raw);
      return true;
    }
    if (!this.#streaming) this.#stream();
    this.#response.write(Buffer.concat([DATA, raw, END]));
    this.#endIfDone();
    return true;
  }

  /** One of the requests gets no answer: without any other the POST ends as an empty stream. */
  drop(): void {
    if (this.#response.writableEnded || this.#response.destroyed) return;
    this.#awaited -= 1;
    if (this.#awaited <= 0 && !this.#streaming) this.#stream();
    this.#endIfDone();
  }

  #endIfDone(): void {
    if (this.#awaited > 0) return;
    clearTimeout(this.#timer);
    this.#response.end();
  }

  #stream(): void {
    clearTimeout(this.#timer);
    this.#streaming = true;
    this.#response.writeHead(200, { ...streamHeaders, ...sessionHeader(this.#id) });
    this.#response.flushHeaders();
    this.#timer = setInterval(() => this.#response.write(': keep-alive\n\n'), KEEP_ALIVE_MS);
  }
}

/** A client's GET: what the server says outside of any answer. */
export class HttpStream {
  #response: ServerResponse | null = null;
  #kept: Buffer[] = [];
  #keptBytes = 0;
  #timer: NodeJS.Timeout | undefined;

  get isOpen(): boolean {
    return this.#response !== null;
  }

  /** The newest GET is the one that is written to. */
  open(response: ServerResponse): void {
    this.close();
    this.#response = response;
    response.writeHead(200, streamHeaders);
    response.flushHeaders();
    this.#timer = setInterval(() => response.write(': keep-alive\n\n'), KEEP_ALIVE_MS);
    const timer = this.#timer;
    response.once('close', () => {
      clearInterval(timer);
      if (this.#response === response) this.#response = null;
    });
    const kept = this.#kept;
    this.#kept = [];
    this.#keptBytes = 0;
    for (const raw of kept) this.send(raw);
  }

  send(raw: Buffer): void {
    if (this.#response === null) {
      this.#kept.push(raw);
      this.#keptBytes += raw.length;
      while (this.#kept.length > KEPT || this.#keptBytes > KEPT_BYTES) {
        this.#keptBytes -= this.#kept.shift()?.length ?? 0;
      }
    } else if (this.#response.writableLength <= UNREAD_BYTES) this.#response.write(Buffer.concat([DATA, raw, END]));
  }

  close(): void {
    clearInterval(this.#timer);
    this.#response?.end();
    this.#response = null;
  }
}

import { DaemonError } from '../../shared/errors.ts';
import type { DaemonEvent } from '../../shared/events.ts';

/** Where events come from: kept in order by seq, and told live after each commit. The store is one. */
export interface EventLog {
  listEvents(after: number, limit: number): Promise<{ events: DaemonEvent[]; oldest: number; latest: number }>;
  onEvents(listener: (events: readonly DaemonEvent[]) => void): () => void;
}

export interface Subscription {
  /** Begin after this seq; null: from now. */
  readonly after: number | null;
  /** Events of this session only; null: all. */
  readonly session_id: string | null;
}

export interface EventStreams {
  /** A `text/event-stream` body; ends when it is cancelled or the streams are closed. Throws `unavailable` when full. */
  open(subscription: Subscription): ReadableStream<Uint8Array>;
  subscribers(): number;
  /** Ends every stream; later ones are refused. */
  close(): void;
}

export interface EventStreamOptions {
  readonly log: EventLog;
  /** Told when a stream ends because its log failed. */
  readonly onError: (error: unknown) => void;
  /** Events that may wait for one subscriber; 1,000. */
  readonly queueLimit?: number;
  /** 15,000. */
  readonly heartbeat_ms?: number;
  readonly mostSubscribers?: number;
}

const REPLAY_PAGE = 500;
const BUFFERED_BYTES = 256 * 1024;

/**
 * Server-sent events of the daemon: `id` is the seq, `event` the type, `data` the event. What was missed is replayed from
 * the log, then events follow live. `event: resync` says that some were lost (pruned, or the subscriber was too slow).
 */
export function createEventStreams(options: EventStreamOptions): EventStreams {
  const { log, onError, queueLimit = 1000, heartbeat_ms = 15_000, mostSubscribers = 256 } = options;
  const open = new Set<Follower>();
  let closed = false;
  return {
    open(subscription) {
      if (closed) throw new DaemonError('unavailable', 'the daemon is stopping: connect again in a moment');
      if (open.size >= mostSubscribers)
        throw new DaemonError('unavailable', `${open.size} subscribers are connected already: close some`);
      const follower = new Follower(log, subscription, queueLimit, heartbeat_ms, () => open.delete(follower), onError);
      open.add(follower);
      return follower.stream;
    },
    subscribers: () => open.size,
    close() {
      closed = true;
      for (const follower of [...open]) follower.end();
    },
  };
}

/** One subscriber: its place in the log, its bounded queue and its stream. */
class Follower {
  readonly stream: ReadableStream<Uint8Array>;
  readonly #log: EventLog;
  readonly #session_id: string | null;
  readonly #queueLimit: number;
  readonly #heartbeat_ms: number;
  readonly #onEnd: () => void;
  readonly #encoder = new TextEncoder();
  readonly #unsubscribe: () => void;
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  #queue: DaemonEvent[] = [];
  #overflowed = false;
  #last: number | null;
  #ended = false;
  #wake: () => void = () => {};

  constructor(
    log: EventLog,
    { after, session_id }: Subscription,
    queueLimit: number,
    heartbeat_ms: number,
    onEnd: () => void,
    onError: (error: unknown) => void,
  ) {
    this.#log = log;
    this.#session_id = session_id;
    this.#queueLimit = queueLimit;
    this.#heartbeat_ms = heartbeat_ms;
    this.#onEnd = onEnd;
    this.#last = after;
    // Before the log is read: what is committed in between is then in both, and told once by its seq.
    this.#unsubscribe = log.onEvents(events => this.#take(events));
    this.stream = new ReadableStream<Uint8Array>(
      {
        start: controller => {
          this.#controller = controller;
          this.#run().catch(error => {
            onError(error);
            this.end();
          });
        },
        pull: () => this.#wake(),
        cancel: () => {
          this.#controller = null;
          this.end();
        },
      },
      new ByteLengthQueuingStrategy({ highWaterMark: BUFFERED_BYTES }),
    );
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#unsubscribe();
    this.#queue = [];
    this.#controller?.close();
    this.#controller = null;
    this.#onEnd();
    this.#wake();
  }

  #take(events: readonly DaemonEvent[]): void {
    if (this.#overflowed) return;
    if (this.#queue.length + events.length > this.#queueLimit) {
      this.#queue = [];
      this.#overflowed = true;
    } else this.#queue.push(...events);
    this.#wake();
  }

  async #run(): Promise<void> {
    await this.#begin();
    while (!this.#ended) {
      if (this.#full()) await this.#pause();
      else if (this.#overflowed) await this.#resync('too slow');
      else {
        const event = this.#queue.shift();
        if (event) await this.#tell(event);
        else if (await this.#pause()) this.#write(': alive\n\n');
      }
    }
  }

  /** Finds the place in the log and replays from there; leaves at the newest event that the log knew. */
  async #begin(): Promise<void> {
    const { latest } = await this.#log.listEvents(Number.MAX_SAFE_INTEGER, 1);
    this.#write('retry: 1000\n');
    if (this.#last === null) {
      this.#last = latest;
      // A frame without data sets the id to resume after, and is no event.
      this.#write(`id: ${latest}\n\n`);
      return;
    }
    if (this.#last > latest) return this.#resync('of another log');
    this.#write(`id: ${this.#last}\n\n`);
    await this.#replay();
  }

  async #replay(): Promise<void> {
    while (!this.#ended) {
      const from = this.#last ?? 0;
      const { events, oldest } = await this.#log.listEvents(from, REPLAY_PAGE);
      if (from < oldest - 1) return this.#resync('no longer kept');
      for (const event of events) {
        while (this.#full() && !this.#ended) await this.#pause();
        this.#send(event);
      }
      if (events.length < REPLAY_PAGE) {
        // What overflowed meanwhile is in the log, and the subscriber has kept up with the log.
        if (!this.#overflowed) return;
        this.#overflowed = false;
      }
    }
  }

  async #tell(event: DaemonEvent): Promise<void> {
    // The log has what lies between; when it does not, replaying finds that out.
    if (event.seq > (this.#last ?? 0) + 1) await this.#replay();
    if (event.seq > (this.#last ?? 0)) this.#send(event);
  }

  async #resync(reason: string): Promise<void> {
    this.#queue = [];
    this.#overflowed = false;
    const { latest } = await this.#log.listEvents(Number.MAX_SAFE_INTEGER, 1);
    this.#last = latest;
    this.#write(`id: ${latest}\nevent: resync\ndata: ${JSON.stringify({ reason })}\n\n`);
  }

  #send(event: DaemonEvent): void {
    this.#last = event.seq;
    if (this.#session_id === null || event.session_id === this.#session_id)
      this.#write(`id: ${event.seq}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
  }

  #write(text: string): void {
    this.#controller?.enqueue(this.#encoder.encode(text));
  }

  #full(): boolean {
    return (this.#controller?.desiredSize ?? 1) <= 0;
  }

  /** Resolves when something happens, with true when it is only that the heartbeat is due. */
  #pause(): Promise<boolean> {
    return new Promise(resolve => {
      const timer = setTimeout(() => resolve(true), this.#heartbeat_ms);
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = () => {};
        resolve(false);
      };
    });
  }
}

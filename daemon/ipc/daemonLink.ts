import { randomBytes } from 'node:crypto';
import { DaemonError } from '../../shared/errors.ts';
import type { OwnCaller } from '../gateway/ownTools.ts';
import type { CallerContext, SessionSource } from '../gateway/sessions.ts';
import type { ConversationKey } from '../records/callRecord.ts';
import { Channel } from './channel.ts';
import { encodeFrame } from './framing.ts';
import type {
  Change,
  ConversationAnswer,
  ExplicitAnswer,
  LinkRole,
  Log,
  Question,
  ServerHeader,
  Welcome,
} from './protocol.ts';

const SHORTEST_WAIT_MS = 20;
const LONGEST_WAIT_MS = 1000;
const SHORTEST_START_MS = 5000;
const SOUND_MS = 1000;
const LONGEST_START_MS = 60_000;
const QUESTION_MS = 5000;
const TOOL_MS = 120_000;
const REMEMBERED = 10_000;

export interface DaemonLinkOptions {
  readonly owner: string;
  /** Where the daemon listens and what it must know, asked before each attempt; null when the home does not tell yet. */
  readonly locate: () => { readonly socketPath: string; readonly token: string } | null;
  /** Starts a daemon and returns at once; it may be called again while one is starting. */
  readonly startDaemon: () => void;
  readonly log: Log;
}

/** What the recorder wants to hear of the link. */
export interface LinkListener {
  opened(welcome: Welcome): void;
  acknowledged(records: number): void;
  closed(): void;
}

interface Pending {
  readonly question: Question;
  readonly frame: readonly Buffer[];
  readonly resolve: (answer: { value: ExplicitAnswer | ConversationAnswer | null; payload: Buffer }) => void;
  readonly reject: (error: DaemonError) => void;
  readonly timer: NodeJS.Timeout;
}

/** The one link of a stdio process to the daemon; comes back by itself, and starts the daemon when none runs. */
export class DaemonLink implements SessionSource {
  /** True while records can be sent. */
  open = false;
  /** Why the last attempt failed, null while it is open. */
  fault: Error | null = null;
  readonly #options: DaemonLinkOptions;
  #listener: LinkListener | null = null;
  #channels: { records: Channel; questions: Channel } | null = null;
  #welcomed = 0;
  #closed = false;
  #retry: NodeJS.Timeout | null = null;
  #wait = SHORTEST_WAIT_MS;
  #mayStart = true;
  #startedAt = Number.NEGATIVE_INFINITY;
  #startWait = SHORTEST_START_MS;
  #openedAt = 0;
  #nextId = 1;
  readonly #pending = new Map<number, Pending>();
  readonly #answered = new Set<string>();
  readonly #changeListeners = new Set<(change: Change) => void>();

  constructor(options: DaemonLinkOptions) {
    this.#options = options;
  }

  /** Begins to connect; `listener` is told from then on. */
  start(listener: LinkListener): void {
    this.#listener = listener;
    this.#dial();
  }

  /** Says that there is something for the daemon: one that was stopped on purpose is started again. */
  want(): void {
    this.#mayStart = true;
  }

  /** Hands one record to the kernel; only while `open`. */
  send(frame: readonly Buffer[]): void {
    this.#channels?.records.send(frame);
  }

  /** Null when the kernel has all records that were sent; otherwise resolves when it does, or the link is gone. */
  handedOver(): Promise<void> | null {
    const records = this.#channels?.records;
    return records === undefined || records.unsent === 0 ? null : records.flushed();
  }

  /** Cuts a link that no longer works, and connects anew. */
  drop(fault: DaemonError): void {
    this.#channels?.records.destroy(fault);
  }

  /** Lets go of the sockets; what was asked and not answered rejects. */
  close(): void {
    this.#closed = true;
    if (this.#retry) clearTimeout(this.#retry);
    this.#channels?.records.destroy();
    this.#channels?.questions.destroy();
    for (const id of [...this.#pending.keys()]) this.#fail(id, new DaemonError('unavailable', 'sessiond is closing'));
  }

  async useExplicit(session_id: string, context: CallerContext): Promise<ExplicitAnswer> {
    const { client, workspace } = context;
    const { value } = await this.#ask({ ask: 'use_explicit', session_id, context: { client, workspace } });
    if (value && !('bound' in value)) return value;
    throw new DaemonError('internal', `the daemon did not answer for session ${session_id}: look into its log`);
  }

  async resolveConversation(
    conversation: ConversationKey,
    proposed: string,
    context: CallerContext,
  ): Promise<ConversationAnswer> {
    const { client, workspace } = context;
    const { value } = await this.#ask({
      ask: 'resolve_conversation',
      conversation,
      proposed,
      context: { client, workspace },
    });
    if (value && 'bound' in value) return value;
    const named = `${conversation.client} ${conversation.conversation_id}`;
    throw new DaemonError('internal', `the daemon did not answer for conversation ${named}: look into its log`);
  }

  onChanged(listener: (change: Change) => void): () => void {
    this.#changeListeners.add(listener);
    return () => this.#changeListeners.delete(listener);
  }

  /**
   * Passes a JSON-RPC message for sessiond's own tools to the daemon: its response, null for a notification. Rejects with
   * `unavailable` when the daemon is away; a message that it may have got is never sent again.
   */
  async ownTools(message: Uint8Array, caller: OwnCaller): Promise<Uint8Array | null> {
    const { payload } = await this.#ask({ ask: 'mcp', caller }, message);
    return payload.length > 0 ? payload : null;
  }

  async #ask(question: Question, message: Uint8Array | null = null) {
    if (this.#closed) throw new DaemonError('unavailable', 'sessiond is closing');
    this.want();
    const id = this.#nextId++;
    const frame = encodeFrame(JSON.stringify({ t: 'question', id, question }), message);
    return await new Promise<Parameters<Pending['resolve']>[0]>((resolve, reject) => {
      const timer = setTimeout(() => this.#fail(id, this.#tooLate()), QUESTION_MS);
      this.#pending.set(id, { question, frame, resolve, reject, timer });
      if (this.open) this.#put(id);
    });
  }

  #put(id: number): void {
    const pending = this.#pending.get(id);
    if (!pending) return;
    this.#channels?.questions.send(pending.frame);
    if (pending.question.ask !== 'mcp') return;
    clearTimeout(pending.timer);
    const timer = setTimeout(() => this.#fail(id, this.#tooLate()), TOOL_MS);
    this.#pending.set(id, { ...pending, timer });
  }

  #tooLate(): DaemonError {
    if (this.open)
      return new DaemonError('timed_out', 'the daemon has not answered in time; it may still do what was asked');
    const why = this.fault ? ` (${this.fault.message})` : '';
    return new DaemonError('unavailable', `the daemon does not run${why}: try again, or run "sessiond start"`);
  }

  #fail(id: number, error: DaemonError): void {
    const pending = this.#pending.get(id);
    if (!pending) return;
    this.#pending.delete(id);
    clearTimeout(pending.timer);
    pending.reject(error);
  }

  #dial(): void {
    this.#retry = null;
    let found: ReturnType<DaemonLinkOptions['locate']> = null;
    try {
      found = this.#options.locate();
    } catch (error) {
      this.fault = error instanceof Error ? error : new Error(String(error));
    }
    if (!found) {
      this.#startDaemon();
      this.#again();
      return;
    }
    const link = randomBytes(8).toString('hex');
    this.#welcomed = 0;
    const { socketPath, token } = found;
    const open = (role: LinkRole): Channel => {
      const channel: Channel = new Channel({
        socketPath,
        token,
        owner: this.#options.owner,
        role,
        link,
        onOpen: welcome => this.#opened(welcome),
        onFrame: (header, payload) => this.#take(header, payload),
        onClosed: fault => this.#lost(channel, fault),
      });
      return channel;
    };
    this.#channels = { records: open('records'), questions: open('questions') };
  }

  #opened(welcome: Welcome): void {
    if (++this.#welcomed < 2) return;
    this.open = true;
    this.fault = null;
    this.#wait = SHORTEST_WAIT_MS;
    this.#openedAt = performance.now();
    this.#mayStart = true;
    this.#listener?.opened(welcome);
    // What changed while the link was down was not told.
    for (const session_id of this.#answered) this.#changed({ session_id });
    this.#answered.clear();
    for (const id of [...this.#pending.keys()]) this.#put(id);
  }

  #lost(channel: Channel, fault: Error | null): void {
    const channels = this.#channels;
    if (!channels || (channel !== channels.records && channel !== channels.questions)) return;
    this.#channels = null;
    channels.records.destroy();
    channels.questions.destroy();
    const wasOpen = this.open;
    this.open = false;
    if (fault && fault.message !== this.fault?.message)
      this.#options.log.info({ err: fault }, wasOpen ? 'the link to the daemon broke' : 'no link to the daemon');
    this.fault = fault;
    for (const [id, { question }] of this.#pending)
      if (wasOpen && question.ask === 'mcp')
        this.#fail(id, new DaemonError('unavailable', 'the daemon stopped before it answered; look what was done'));
    if (wasOpen) {
      this.#listener?.closed();
      // One that dies as soon as it runs must not be started in a tight loop.
      if (performance.now() - this.#openedAt > SOUND_MS) {
        this.#startedAt = Number.NEGATIVE_INFINITY;
        this.#startWait = SHORTEST_START_MS;
      }
    }
    if (fault && 'code' in fault && (fault.code === 'ENOENT' || fault.code === 'ECONNREFUSED')) this.#startDaemon();
    this.#again();
  }

  #again(): void {
    if (this.#closed || this.#retry) return;
    this.#retry = setTimeout(() => this.#dial(), this.#wait * (0.75 + Math.random() / 2));
    this.#wait = Math.min(this.#wait * 1.6, LONGEST_WAIT_MS);
  }

  #startDaemon(): void {
    const now = performance.now();
    if (this.#closed || !this.#mayStart || now - this.#startedAt < this.#startWait) return;
    if (this.#startedAt > 0) this.#startWait = Math.min(this.#startWait * 2, LONGEST_START_MS);
    this.#startedAt = now;
    this.#wait = SHORTEST_WAIT_MS;
    try {
      this.#options.startDaemon();
    } catch (err) {
      this.#options.log.warn({ err }, 'the daemon could not be started; it is tried again');
    }
  }

  #remember(session_id: string): void {
    const oldest = this.#answered.size >= REMEMBERED ? this.#answered.values().next().value : undefined;
    if (oldest !== undefined) this.#answered.delete(oldest);
    this.#answered.add(session_id);
  }

  #changed(change: Change): void {
    for (const listener of this.#changeListeners) listener(change);
  }

  #take(header: ServerHeader, payload: Buffer): void {
    switch (header.t) {
      case 'ack':
        this.#listener?.acknowledged(header.records);
        break;
      case 'answer': {
        const pending = this.#pending.get(header.id);
        this.#pending.delete(header.id);
        clearTimeout(pending?.timer);
        if (header.value && 'session_id' in header.value) this.#remember(header.value.session_id);
        pending?.resolve({ value: header.value, payload });
        break;
      }
      case 'fault':
        this.#fail(header.id, new DaemonError(header.code, header.message));
        break;
      case 'changed':
        this.#changed(header.change);
        break;
      case 'bye':
        this.#mayStart = false;
        break;
      default:
        throw new DaemonError('invalid_input', `${header.t} came after the handshake`);
    }
  }
}

import { v7 as uuidv7 } from 'uuid';
import type { Attribution } from '../../shared/invocation.ts';
import type { ConversationKey } from '../records/callRecord.ts';
import type { CallerContext, Refused, Resolved, SessionSource, Sessions } from './sessions.ts';

/** Most conversations and ids remembered; the oldest is asked for again. */
const CAPACITY = 10_000;

interface Known {
  session_id: string;
  bound: boolean;
  provisional: boolean;
  /** The question under way, if any. */
  asking: Promise<void> | null;
  /** The answer, or the end of the time that calls wait for it; null once it is over. */
  waiting: Promise<void> | null;
}

/** Sessions by memory in front of a source that may be slow or away. */
export class SessionMemory implements Sessions {
  readonly #source: SessionSource;
  readonly #waitMs: number;
  readonly #explicit = new Set<string>();
  readonly #conversations = new Map<string, Known>();
  /** How many changes were told; what was asked before a change may be out of date. */
  #changes = 0;

  /** `waitMs`: the longest a call waits for the source. */
  constructor(source: SessionSource, waitMs: number) {
    this.#source = source;
    this.#waitMs = waitMs;
    source.onChanged(change => {
      this.#changes += 1;
      if ('session_id' in change) this.#forgetSession(change.session_id);
      else this.#conversations.delete(keyOf(change.conversation));
    });
  }

  forExplicit(session_id: string, caller: CallerContext): Resolved | Promise<Resolved | Refused> {
    const resolved: Resolved = { session_id, attribution: 'explicit', provisional: false };
    if (this.#explicit.has(session_id)) return resolved;
    const changes = this.#changes;
    const answer = this.#source.useExplicit(session_id, caller).then(
      (use): Resolved | Refused => {
        if ('refused' in use) return use;
        if (use.expires || this.#changes !== changes) return resolved;
        if (this.#explicit.size >= CAPACITY) this.#explicit.clear();
        this.#explicit.add(session_id);
        return resolved;
      },
      () => resolved, // the source is away: the record makes the session when it arrives
    );
    return this.#within(answer, resolved);
  }

  forConversation(
    conversation: ConversationKey,
    attribution: Attribution,
    caller: CallerContext,
  ): Resolved | Promise<Resolved> {
    const key = keyOf(conversation);
    let known = this.#conversations.get(key);
    if (known === undefined) {
      known = { session_id: uuidv7(), bound: false, provisional: true, asking: null, waiting: null };
      if (this.#conversations.size >= CAPACITY) this.#dropOldest();
      this.#conversations.set(key, known);
      this.#ask(known, conversation, caller);
      const asked = known;
      asked.waiting = this.#within(asked.asking ?? Promise.resolve(), undefined).then(() => {
        asked.waiting = null;
      });
    }
    if (known.waiting !== null) {
      const asked = known;
      return known.waiting.then(() => answerOf(asked, attribution));
    }
    if (known.provisional && known.asking === null) this.#ask(known, conversation, caller);
    return answerOf(known, attribution);
  }

  #ask(known: Known, conversation: ConversationKey, caller: CallerContext): void {
    known.asking = this.#source.resolveConversation(conversation, known.session_id, caller).then(
      answer => {
        known.session_id = answer.session_id;
        known.bound = answer.bound;
        known.provisional = false;
        known.asking = null;
      },
      () => {
        known.asking = null; // the source is away: asked again at the next call
      },
    );
  }

  #within<T>(answer: Promise<T>, otherwise: T): Promise<T> {
    return new Promise(resolve => {
      const timer = setTimeout(() => resolve(otherwise), this.#waitMs);
      void answer.then(value => {
        clearTimeout(timer);
        resolve(value);
      });
    });
  }

  #forgetSession(session_id: string): void {
    this.#explicit.delete(session_id);
    for (const [key, known] of this.#conversations) {
      if (known.session_id === session_id) this.#conversations.delete(key);
    }
  }

  #dropOldest(): void {
    const oldest = this.#conversations.keys().next();
    if (oldest.done !== true) this.#conversations.delete(oldest.value);
  }
}

function keyOf(conversation: ConversationKey): string {
  return `${conversation.client}\n${conversation.conversation_id}`;
}

function answerOf(known: Known, attribution: Attribution): Resolved {
  return {
    session_id: known.session_id,
    attribution: known.bound && attribution === 'inferred' ? 'binding' : attribution,
    provisional: known.provisional,
  };
}

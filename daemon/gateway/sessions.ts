import type { Attribution } from '../../shared/invocation.ts';
import type { ConversationKey } from '../records/callRecord.ts';

/** What is known about the caller when a session has to be made for it. */
export interface CallerContext {
  readonly client: string | null;
  readonly workspace: string | null;
}

/** A session that a call may run in. */
export interface Resolved {
  readonly session_id: string;
  readonly attribution: Attribution;
  /** Minted here without the store's answer. */
  readonly provisional: boolean;
}

/** An explicit id that can't be used; `message` says why and what to do. */
export interface Refused {
  readonly refused: string;
}

/**
 * Finds the session of a call. Answers from memory whenever it can; otherwise it waits for the store for a bounded time
 * only, and never fails: without an answer a conversation gets a provisional session, an explicit id is taken as it is.
 */
export interface Sessions {
  forExplicit(session_id: string, caller: CallerContext): Resolved | Refused | Promise<Resolved | Refused>;
  forConversation(
    conversation: ConversationKey,
    attribution: Attribution,
    caller: CallerContext,
  ): Resolved | Promise<Resolved>;
}

/** A session that an explicit id names; one that `expires` may be refused at any later call. */
export interface Usable {
  readonly session_id: string;
  readonly expires: boolean;
}

/** Who knows: the store in the daemon, the socket in a stdio process. May reject or take long when the daemon is away. */
export interface SessionSource {
  useExplicit(session_id: string, caller: CallerContext): Promise<Usable | Refused>;
  /** `bound`: the conversation was put there by sessions_use. */
  resolveConversation(
    conversation: ConversationKey,
    proposed: string,
    caller: CallerContext,
  ): Promise<{ readonly session_id: string; readonly bound: boolean }>;
  /** Tells which sessions changed their status and which conversations moved, so that memory of them is dropped. */
  onChanged(listener: (change: { session_id: string } | { conversation: ConversationKey }) => void): () => void;
}

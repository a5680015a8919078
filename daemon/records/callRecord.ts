import type { Attribution, InvocationStatus } from '../../shared/invocation.ts';

/** Names one conversation of one assistant; many conversations can belong to one session. */
export interface ConversationKey {
  /** clientInfo.name. */
  readonly client: string;
  readonly conversation_id: string;
}

/**
 * The beginning of a call, handed to a Recorder before the call is forwarded. `message` is the JSON-RPC request exactly
 * as the upstream gets it (one line, UTF-8): arguments and _meta are read out of it by the store, off the path of the call.
 */
export interface CallStart {
  readonly invocation_id: string;
  readonly session_id: string | null;
  /** True when session_id was minted without asking the store: the store may know this conversation by another session. */
  readonly provisional: boolean;
  readonly attribution: Attribution;
  readonly conversation: ConversationKey | null;
  readonly client: string | null;
  readonly client_version: string | null;
  readonly workspace: string | null;
  readonly server: string;
  readonly tool: string;
  /** Milliseconds since the epoch. */
  readonly started_at: number;
  /** Identifies the process that runs the call, so that its running calls can be ended when it is gone. */
  readonly owner: string;
}

/** The end of a call. `message` is the JSON-RPC response as the upstream sent it, or null when it sent none. */
export interface CallEnd {
  readonly invocation_id: string;
  readonly status: Exclude<InvocationStatus, 'running'>;
  readonly ended_at: number;
  readonly duration_ms: number;
  /** One line that says why it did not complete; null when it did. */
  readonly error_message: string | null;
}

/** What travels from a gateway to the store: over a socket, through a spool file or by a direct call, in order. */
export type CallRecord =
  | { readonly kind: 'start'; readonly start: CallStart; readonly message: Uint8Array }
  | { readonly kind: 'end'; readonly end: CallEnd; readonly message: Uint8Array | null };

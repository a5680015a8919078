import type { ConversationKey } from '../records/callRecord.ts';

/** Who calls one of sessiond's own tools. */
export interface OwnCaller {
  readonly client: string | null;
  readonly conversation: ConversationKey | null;
  readonly workspace: string | null;
}

/** sessiond's own tools: takes a JSON-RPC request, answers it. In a stdio process the daemon does, over the socket. */
export type OwnTools = (message: Uint8Array, caller: OwnCaller) => Promise<Uint8Array | null>;

/** What the names of sessiond's own tools look like: an operation's `noun_verb`, where `__` is a server's. */
export const OWN_NAME = /^(sessions|messages|invocations|memories|checkpoints|servers|daemon)(_[a-z]+)+$/;

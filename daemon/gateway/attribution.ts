import type { Attribution } from '../../shared/invocation.ts';
import type { ConversationKey } from '../records/callRecord.ts';

/** What a gateway knows of its client besides the call itself. */
export interface CallerFacts {
  /** clientInfo.name, null before initialize. */
  readonly client: string | null;
  /** Conversation id of the stdio process's environment. */
  readonly environmentConversation: string | null;
  /** The connection itself, where one connection is one conversation; null where nothing may be inferred. */
  readonly connection: string | null;
}

/** `_meta` keys that name a conversation, by the assistant's own documentation or traffic. */
const metaKeys = ['vscode.conversationId', 'ai.opencode/sessionID', 'claudecode/sessionId'] as const;
/** Codex's keys carry no vendor prefix, so they count from Codex only. */
const codexKeys = ['threadId', 'sessionId'] as const;

/** Variables by which an assistant tells its stdio servers the conversation. */
const environmentKeys = ['CLAUDE_CODE_SESSION_ID', 'COPILOT_AGENT_SESSION_ID', 'QWEN_CODE_SESSION_ID'] as const;

/** Conversation ids are kept up to this length; what is longer names nothing. */
const LONGEST_ID = 256;

function usable(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= LONGEST_ID;
}

/** The conversation id in an environment, null when there is none. */
export function environmentConversation(env: Readonly<Record<string, string | undefined>>): string | null {
  for (const key of environmentKeys) {
    const value = env[key];
    if (usable(value)) return value;
  }
  return null;
}

/** One name for one assistant: Qwen Code adds the server's name to its own. */
export function clientKey(client: string | null): string {
  if (client === null || client === '') return 'unknown';
  return client.startsWith('qwen-cli-mcp-client-') ? 'qwen-cli-mcp-client' : client.slice(0, LONGEST_ID);
}

/** The conversation of a call, by the strongest rung that gives one (meta, environment, inferred), or null. */
export function conversationOf(
  meta: Readonly<Record<string, unknown>> | undefined,
  facts: CallerFacts,
): { conversation: ConversationKey; attribution: Attribution } | null {
  const client = clientKey(facts.client);
  const fromMeta = meta === undefined ? null : metaConversation(meta, client);
  if (fromMeta !== null) return { conversation: { client, conversation_id: fromMeta }, attribution: 'meta' };
  if (facts.environmentConversation !== null) {
    return { conversation: { client, conversation_id: facts.environmentConversation }, attribution: 'environment' };
  }
  if (facts.connection !== null) {
    return { conversation: { client, conversation_id: facts.connection }, attribution: 'inferred' };
  }
  return null;
}

function metaConversation(meta: Readonly<Record<string, unknown>>, client: string): string | null {
  for (const key of metaKeys) if (usable(meta[key])) return meta[key];
  if (client.startsWith('codex')) for (const key of codexKeys) if (usable(meta[key])) return meta[key];
  return null;
}

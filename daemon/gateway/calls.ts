import type { InvocationStatus } from '../../shared/invocation.ts';
import type { CallEnd, ConversationKey } from '../records/callRecord.ts';
import { newInvocationId } from './invocationId.ts';
import { isRecord, type ResponseMessage } from './message.ts';
import type { Recorder } from './recorder.ts';
import { metaKey } from './rewrite.ts';
import type { Resolved } from './sessions.ts';

/** A tool call under way. */
export interface ActiveCall {
  readonly invocation_id: string;
  readonly session_id: string | null;
  readonly server: string;
  readonly tool: string;
  readonly began: number;
  /** Set once it has its end; what comes later is passed on but not recorded again. */
  ended: boolean;
  timer: NodeJS.Timeout | undefined;
}

/** Who calls what. */
export interface CallFacts {
  readonly server: string;
  readonly tool: string;
  readonly client: string | null;
  readonly clientVersion: string | null;
  readonly workspace: string | null;
  readonly conversation: ConversationKey | null;
  readonly resolved: Resolved | null;
}

const MESSAGE_SHOWN = 300;

/** Begins and ends recorded calls: one start and one end each, whatever happens in between. */
export class Calls {
  readonly #recorder: Recorder;
  readonly #owner: string;

  constructor(recorder: Recorder, owner: string) {
    this.#recorder = recorder;
    this.#owner = owner;
  }

  begin(facts: CallFacts): ActiveCall {
    return {
      invocation_id: newInvocationId(),
      session_id: facts.resolved?.session_id ?? null,
      server: facts.server,
      tool: facts.tool,
      began: performance.now(),
      ended: false,
      timer: undefined,
    };
  }

  /** Hands the start over; `message` is what the upstream gets. Wait for the promise, when there is one. */
  start(call: ActiveCall, facts: CallFacts, message: Buffer): Promise<void> | undefined {
    return this.#recorder.start(
      {
        invocation_id: call.invocation_id,
        session_id: call.session_id,
        provisional: facts.resolved?.provisional ?? false,
        attribution: facts.resolved?.attribution ?? 'none',
        conversation: facts.conversation,
        client: facts.client,
        client_version: facts.clientVersion,
        workspace: facts.workspace,
        server: facts.server,
        tool: facts.tool,
        started_at: Date.now(),
        owner: this.#owner,
      },
      message,
    );
  }

  /** Hands the end over, the first time it is called for a call. */
  end(
    call: ActiveCall,
    status: Exclude<InvocationStatus, 'running'>,
    errorMessage: string | null,
    message: Buffer | null,
  ): Promise<void> | undefined {
    if (call.ended) return undefined;
    call.ended = true;
    clearTimeout(call.timer);
    const end: CallEnd = {
      invocation_id: call.invocation_id,
      status,
      ended_at: Date.now(),
      duration_ms: Math.round((performance.now() - call.began) * 1000) / 1000,
      error_message: errorMessage,
    };
    return this.#recorder.end(end, message);
  }
}

/** What the echo adds to a result's `_meta`. */
export function echoOf(call: ActiveCall): readonly (readonly [string, string])[] {
  const invocation = [metaKey.invocation, call.invocation_id] as const;
  return call.session_id === null ? [invocation] : [[metaKey.session, call.session_id], invocation];
}

/** How a call went, by its response. */
export function outcomeOf(response: ResponseMessage): { status: 'completed' | 'failed'; errorMessage: string | null } {
  const { error, result } = response;
  if (error !== undefined && error !== null) {
    const message = isRecord(error) && typeof error.message === 'string' ? error.message : JSON.stringify(error);
    return { status: 'failed', errorMessage: message.slice(0, MESSAGE_SHOWN) };
  }
  if (isRecord(result) && result.isError === true) {
    return { status: 'failed', errorMessage: firstText(result.content) ?? 'the tool answered isError' };
  }
  return { status: 'completed', errorMessage: null };
}

function firstText(content: unknown): string | null {
  if (!Array.isArray(content)) return null;
  for (const block of content) {
    if (isRecord(block) && typeof block.text === 'string') return block.text.slice(0, MESSAGE_SHOWN);
  }
  return null;
}

import type { OperationArguments, OperationInput, OperationName, OperationOutput } from '../shared/operations/table.ts';
import type { ConversationKey } from './records/callRecord.ts';

/** Who asks. `conversation` is known for MCP callers only: sessions_use without a conversation_id moves it. */
export interface Caller {
  readonly surface: 'mcp' | 'rest' | 'cli';
  readonly client: string | null;
  readonly conversation: ConversationKey | null;
  readonly workspace: string | null;
}

export type Handler<N extends OperationName> = (
  input: OperationArguments<N>,
  caller: Caller,
) => Promise<OperationOutput<N>>;

export type Handlers = { readonly [N in OperationName]: Handler<N> };

/** Runs one operation: validates the input, calls the handler, maps what goes wrong to a DaemonError. */
export type Invoke = <N extends OperationName>(
  name: N,
  input: OperationInput<N>,
  caller: Caller,
) => Promise<OperationOutput<N>>;

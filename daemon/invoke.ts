import { randomUUID } from 'node:crypto';
import type * as z from 'zod';
import { DaemonError } from '../shared/errors.ts';
import {
  type OperationArguments,
  type OperationInput,
  type OperationName,
  type OperationOutput,
  operations,
} from '../shared/operations/table.ts';
import { describeIssues, rawFault, shown } from './inputFault.ts';
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

/** Told of each error that no handler foresaw; the caller sees only the reference. */
export type LogUnknown = (reference: string, operation: OperationName, cause: unknown) => void;

/**
 * The one way to run an operation, whatever the surface. Rejects with DaemonErrors only: `invalid_input` names the field,
 * its value (shortened) and the rule; an unforeseen error becomes `internal` with a reference that `logUnknown` got too.
 */
export function createInvoke(handlers: Handlers, logUnknown: LogUnknown): Invoke {
  return async (name, input, caller) => {
    const parsed = checkInput(name, input);
    try {
      return await handlers[name](parsed, caller);
    } catch (error) {
      if (error instanceof DaemonError) throw error;
      const reference = randomUUID().slice(0, 8);
      logUnknown(reference, name, error);
      throw new DaemonError(
        'internal',
        `${name} failed unexpectedly; the daemon's log has the cause under ${reference}`,
        {
          cause: error,
          reference,
        },
      );
    }
  };
}

const strictInputs = new Map<OperationName, z.ZodObject>();

/** The input of an operation with unknown keys refused: a mistyped filter must not quietly list everything. */
export function strictInput(name: OperationName): z.ZodObject {
  let strict = strictInputs.get(name);
  if (!strict) {
    const input: z.ZodObject = operations[name].input;
    strict = input.strict();
    strictInputs.set(name, strict);
  }
  return strict;
}

function checkInput<N extends OperationName>(name: N, input: unknown): OperationArguments<N> {
  if (typeof input !== 'object' || input === null || Array.isArray(input))
    throw new DaemonError('invalid_input', `${name} takes an object, not ${shown(input)}`);
  const fault = rawFault(input);
  if (fault !== null) throw new DaemonError('invalid_input', `${name}: ${fault}`);
  const schema = strictInput(name);
  const result = schema.safeParse(input);
  if (!result.success) {
    const described = describeIssues(result.error.issues, input, Object.keys(schema.shape));
    throw new DaemonError('invalid_input', `${name}: ${described}`, { cause: result.error });
  }
  // The table ties the schema to the name; TypeScript does not follow that through a type parameter.
  return result.data as OperationArguments<N>;
}

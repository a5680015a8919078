import type * as z from 'zod';

/** Where an operation can be reached. `rest` includes the typed client. */
export type Surface = 'mcp' | 'rest' | 'cli';

/**
 * One thing that sessiond can do. REST routes, OpenAPI, MCP tools, CLI commands and the typed client are all derived from
 * this record. Path parameters are keys of `input`; the rest of `input` travels as query (GET, DELETE) or JSON body.
 */
export interface Operation<Input extends z.ZodObject = z.ZodObject, Output extends z.ZodType = z.ZodType> {
  /** `noun_verb`, also the MCP tool's name; the CLI says `sessiond noun verb`. */
  readonly name: string;
  /** One sentence; it is also what a model reads to choose the tool. */
  readonly summary: string;
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** Hono path, e.g. `/sessions/:session_id`. */
  readonly path: `/${string}`;
  readonly input: Input;
  readonly output: Output;
  /** Reads only: nothing changes. */
  readonly readOnly: boolean;
  /** Takes away something that this operation's inverse does not bring back. */
  readonly destructive: boolean;
  /** Calling it twice with the same input changes nothing more. */
  readonly idempotent: boolean;
  readonly surfaces: readonly Surface[];
  readonly cli: {
    /** Input keys given by position, in order; the rest are flags. */
    readonly positionals?: readonly (keyof z.infer<Input> & string)[];
    /** A daily short form: `sessiond list`. */
    readonly alias?: string;
    readonly examples: readonly string[];
  };
}

/** Keeps the exact types of `input` and `output`. */
export function operation<Input extends z.ZodObject, Output extends z.ZodType>(
  record: Operation<Input, Output>,
): Operation<Input, Output> {
  return record;
}

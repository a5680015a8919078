import { type ParseError, parse } from 'jsonc-parser';
import type * as z from 'zod';
import { DaemonError } from '../../shared/errors.ts';
import { fromText, textKind } from './inputText.ts';

/** Largest JSON body of an operation. */
export const BODY_LIMIT = 1024 * 1024;

/** Reads a query: a list is a repeated key, anything else stands once; values get the type that the schema has. */
export function queryInput(query: URLSearchParams, schema: z.ZodObject): Record<string, unknown> {
  const entries = [...new Set(query.keys())].map(key => {
    const values = query.getAll(key);
    const field = Object.hasOwn(schema.shape, key) ? schema.shape[key] : undefined;
    if (field && textKind(field) === 'list') return [key, values] as const;
    if (values.length > 1)
      throw new DaemonError('invalid_input', `${key} is given ${values.length} times: give it once`);
    const value = values[0] ?? '';
    return [key, field ? fromText(field, value) : value] as const;
  });
  return Object.fromEntries(entries);
}

/** Reads a JSON object of at most 1 MiB; an empty body is an empty object. Rejects with `unsupported`, `too_large` or `invalid_input`. */
export async function bodyInput(request: Request): Promise<Record<string, unknown>> {
  const declared = Number(request.headers.get('content-length') ?? '0');
  if (declared > BODY_LIMIT) throw tooLarge(`${declared} bytes`);
  const bytes = await readBody(request);
  if (bytes.byteLength === 0) return {};
  const type = request.headers.get('content-type') ?? 'none';
  const [media = '', ...parameters] = type.split(';').map(part => part.trim().toLowerCase());
  const charset = parameters.find(parameter => parameter.startsWith('charset='));
  if (media !== 'application/json' || (charset !== undefined && !/^charset="?utf-8"?$/.test(charset)))
    throw new DaemonError('unsupported', `Content-Type ${JSON.stringify(type)}: send application/json in UTF-8`);
  return parseObject(decode(bytes));
}

async function readBody(request: Request): Promise<Uint8Array> {
  if (!request.body) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reader = request.body.getReader();
  for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
    size += chunk.value.byteLength;
    if (size > BODY_LIMIT) {
      await reader.cancel();
      throw tooLarge('more');
    }
    chunks.push(chunk.value);
  }
  return Buffer.concat(chunks);
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new DaemonError('invalid_input', 'the body is not UTF-8: send JSON in UTF-8', { cause });
  }
}

function parseObject(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new DaemonError('invalid_input', `the body is not JSON: ${faultAt(text)}`, { cause });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new DaemonError('invalid_input', 'the body is JSON, but no object: send {...}');
  return Object.fromEntries(Object.entries(value));
}

/** V8 does not always say where; a second, tolerant parse finds the place. */
function faultAt(text: string): string {
  const errors: ParseError[] = [];
  try {
    parse(text, errors, { disallowComments: true, allowTrailingComma: false, allowEmptyContent: false });
  } catch (error) {
    if (error instanceof RangeError) return 'it is nested too deeply';
    throw error;
  }
  const offset = Math.min(errors[0]?.offset ?? text.length, text.length);
  const before = text.slice(0, offset).split('\n');
  const place = `line ${before.length} column ${(before.at(-1)?.length ?? 0) + 1} (position ${offset})`;
  return offset >= text.length
    ? `it ends too early, at ${place}`
    : `unexpected ${JSON.stringify(text.charAt(offset))} at ${place}`;
}

function tooLarge(size: string): DaemonError {
  return new DaemonError('too_large', `the body has ${size}, the limit is ${BODY_LIMIT} bytes: send less at once`);
}

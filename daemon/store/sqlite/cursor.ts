import { createHash } from 'node:crypto';
import * as z from 'zod';
import { DaemonError } from '../../../shared/errors.ts';

const shape = z.object({ q: z.string(), k: z.array(z.union([z.string(), z.number()])) });

/** Names a query by its filters: pages of one query share it, and no other query has it. */
export function queryHash(list: string, filter: Readonly<Record<string, unknown>>): string {
  const given = Object.entries(filter).filter(
    ([key, value]) => value !== undefined && key !== 'cursor' && key !== 'limit',
  );
  given.sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash('sha256')
    .update(JSON.stringify([list, given]))
    .digest('base64url')
    .slice(0, 12);
}

/** An opaque cursor that continues `query` after the row with `key`. */
export function encodeCursor(query: string, key: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify({ q: query, k: key })).toString('base64url');
}

/** The key in a cursor. Rejects with `invalid_input` what is damaged or belongs to another query. */
export function decodeCursor<Key extends readonly (string | number)[]>(
  cursor: string,
  query: string,
  key: z.ZodType<Key>,
): Key {
  const parsed = shape.safeParse(parseOrNull(Buffer.from(cursor, 'base64url').toString('utf8')));
  const found = key.safeParse(parsed.data?.k);
  if (parsed.data?.q === query && found.success) return found.data;
  const shown = JSON.stringify(cursor.length > 40 ? `${cursor.slice(0, 40)}…` : cursor);
  const why = parsed.success ? 'belongs to a list with other filters' : 'is not one that a list gave';
  throw new DaemonError('invalid_input', `cursor ${shown} ${why}: leave it out to begin at the first page`);
}

function parseOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

import { Edits } from './edits.ts';
import { endOfValue, isArray, isObject, itemsOf, type Member, membersOf, startOf } from './jsonSpans.ts';
import type { RequestId } from './message.ts';

/** Keys that sessiond puts into `_meta`. */
export const metaKey = {
  session: 'dev.sessiond/session_id',
  invocation: 'dev.sessiond/invocation_id',
} as const;

function last(members: readonly Member[], key: string): Member | undefined {
  return members.findLast(member => member.key === key);
}

function replaceAll(edits: Edits, members: readonly Member[], key: string, text: string): void {
  for (const member of members) if (member.key === key) edits.replace(member.value, member.end, text);
}

function replaceAt(edits: Edits, members: readonly Member[], path: readonly string[], value: string): void {
  const [key, ...rest] = path;
  for (const member of members) {
    if (member.key !== key) continue;
    if (rest.length === 0) edits.replace(member.value, member.end, JSON.stringify(value));
    else if (isObject(edits.source, member.value)) {
      replaceAt(edits, membersOf(edits.source, member.value), rest, value);
    }
  }
}

function addMeta(
  edits: Edits,
  owner: readonly Member[],
  at: number,
  entries: readonly (readonly [string, string])[],
): void {
  if (entries.length === 0) return;
  const text = entries.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(',');
  const meta = last(owner, '_meta');
  if (meta !== undefined && isObject(edits.source, meta.value)) {
    edits.append(membersOf(edits.source, meta.value), meta.value, text);
  } else if (meta === undefined) {
    edits.append(owner, at, `"_meta":{${text}}`);
  }
}

/** The message under another id. */
export function withId(raw: Buffer, id: RequestId): Buffer {
  const edits = new Edits(raw);
  replaceAll(edits, membersOf(raw, startOf(raw)), 'id', JSON.stringify(id));
  return edits.apply();
}

export interface RequestChange {
  readonly id: RequestId;
  /** The new value of a string below `params`, by its path: `['name']`, `['ref', 'name']`. */
  readonly param?: { readonly path: readonly string[]; readonly value: string } | undefined;
  /** Take `session_id` off the arguments. */
  readonly dropSessionArgument?: boolean;
  /** Keys and values for the request's `_meta`. */
  readonly addMeta?: readonly (readonly [string, string])[];
}

/** A request as the upstream is to see it. */
export function rewriteRequest(raw: Buffer, change: RequestChange): Buffer {
  const edits = new Edits(raw);
  const top = membersOf(raw, startOf(raw));
  replaceAll(edits, top, 'id', JSON.stringify(change.id));
  const params = last(top, 'params');
  if (params !== undefined && isObject(raw, params.value)) {
    const members = membersOf(raw, params.value);
    if (change.param !== undefined) replaceAt(edits, members, change.param.path, change.param.value);
    const args = last(members, 'arguments');
    if (change.dropSessionArgument === true && args !== undefined && isObject(raw, args.value)) {
      edits.remove(membersOf(raw, args.value), 'session_id');
    }
    addMeta(edits, members, params.value, change.addMeta ?? []);
  }
  return edits.apply();
}

/** A response under the client's id, its result's `_meta` extended; a result that is no object is left as it is. */
export function rewriteResponse(raw: Buffer, id: RequestId, meta: readonly (readonly [string, string])[]): Buffer {
  const edits = new Edits(raw);
  const top = membersOf(raw, startOf(raw));
  replaceAll(edits, top, 'id', JSON.stringify(id));
  const result = last(top, 'result');
  if (meta.length > 0 && result !== undefined && isObject(raw, result.value)) {
    addMeta(edits, membersOf(raw, result.value), result.value, meta);
  }
  return edits.apply();
}

/** A message with one parameter replaced, given as JSON text; for notifications that name a request or a token. */
export function withParam(raw: Buffer, key: string, value: string): Buffer {
  const edits = new Edits(raw);
  const params = last(membersOf(raw, startOf(raw)), 'params');
  if (params !== undefined && isObject(raw, params.value)) {
    replaceAll(edits, membersOf(raw, params.value), key, value);
  }
  return edits.apply();
}

/** The bytes of `params`, `{}` when there are none. */
export function paramsOf(raw: Buffer): Buffer {
  const params = last(membersOf(raw, startOf(raw)), 'params');
  return params === undefined ? Buffer.from('{}') : raw.subarray(params.value, params.end);
}

/** The bytes of `result`, or null when there is none. */
export function resultOf(raw: Buffer): Buffer | null {
  const result = last(membersOf(raw, startOf(raw)), 'result');
  return result === undefined ? null : raw.subarray(result.value, result.end);
}

/** The bytes of each item of the list `key` in a list result. */
export function listItems(result: Buffer, key: string): Buffer[] {
  const at = startOf(result);
  if (!isObject(result, at)) return [];
  const list = last(membersOf(result, at), key);
  if (list === undefined || !isArray(result, list.value)) return [];
  return itemsOf(result, list.value).map(item => result.subarray(item.value, item.end));
}

/** A list result with its items under `key` replaced by `items`. */
export function withListItems(result: Buffer, key: string, items: readonly Buffer[]): Buffer {
  const at = startOf(result);
  const list = isObject(result, at) ? last(membersOf(result, at), key) : undefined;
  if (list === undefined || !isArray(result, list.value)) return result;
  const parts: Buffer[] = [result.subarray(0, list.value + 1)];
  items.forEach((item, i) => {
    if (i > 0) parts.push(Buffer.from(','));
    parts.push(item);
  });
  parts.push(result.subarray(endOfValue(result, list.value) - 1));
  return Buffer.concat(parts);
}

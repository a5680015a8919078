import { Edits } from './edits.ts';
import { endOfValue, findMember, isArray, isObject, itemsOf, type Member, membersOf, startOf } from './jsonSpans.ts';
import { isRecord, type RequestId, type RequestMessage, type ResponseMessage } from './message.ts';

/** Keys that sessiond puts into `_meta`. */
export const metaKey = {
  session: 'dev.sessiond/session_id',
  invocation: 'dev.sessiond/invocation_id',
} as const;

function last(members: readonly Member[], key: string): Member | undefined {
  return members.findLast(member => member.key === key);
}

/** Puts entries into the `_meta` of the object at `at`; `present` is the `_meta` that it has, parsed. */
function addMeta(edits: Edits, at: number, present: unknown, entries: readonly (readonly [string, string])[]): void {
  if (entries.length === 0) return;
  const text = entries.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(',');
  if (present === undefined) {
    edits.prepend(at, `"_meta":{${text}}`);
    return;
  }
  const meta = last(membersOf(edits.source, at), '_meta');
  if (meta !== undefined && isObject(edits.source, meta.value)) {
    edits.append(membersOf(edits.source, meta.value), meta.value, text);
  }
}

function replaceId(edits: Edits, id: RequestId): void {
  const member = findMember(edits.source, startOf(edits.source), 'id');
  if (member !== undefined) edits.replace(member.value, member.end, JSON.stringify(id));
}

/** The message under another id. */
export function withId(message: RequestMessage | ResponseMessage, id: RequestId): Buffer {
  if (message.id === id) return message.raw;
  const edits = new Edits(message.raw);
  replaceId(edits, id);
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
export function rewriteRequest(request: RequestMessage, change: RequestChange): Buffer {
  const edits = new Edits(request.raw);
  const { raw, params } = request;
  if (request.id !== change.id) replaceId(edits, change.id);
  const member = params === undefined ? undefined : findMember(raw, startOf(raw), 'params');
  if (params !== undefined && member !== undefined) {
    if (change.param !== undefined) replaceAt(edits, member.value, change.param.path, change.param.value);
    const args = params.arguments;
    if (change.dropSessionArgument === true && isRecord(args) && Object.hasOwn(args, 'session_id')) {
      const written = last(membersOf(raw, member.value), 'arguments');
      if (written !== undefined) edits.remove(membersOf(raw, written.value), 'session_id');
    }
    addMeta(edits, member.value, params._meta, change.addMeta ?? []);
  }
  return edits.apply();
}

function replaceAt(edits: Edits, at: number, path: readonly string[], value: string): void {
  const [key = '', ...rest] = path;
  const member = findMember(edits.source, at, key);
  if (member === undefined) return;
  if (rest.length === 0) edits.replace(member.value, member.end, JSON.stringify(value));
  else if (isObject(edits.source, member.value)) replaceAt(edits, member.value, rest, value);
}

/** A response under the client's id, its result's `_meta` extended; a result that is no object is left as it is. */
export function rewriteResponse(
  response: ResponseMessage,
  id: RequestId,
  meta: readonly (readonly [string, string])[],
): Buffer {
  const { raw, result } = response;
  const edits = new Edits(raw);
  if (response.id !== id) replaceId(edits, id);
  if (meta.length > 0 && isRecord(result)) {
    const member = findMember(raw, startOf(raw), 'result');
    if (member !== undefined) addMeta(edits, member.value, result._meta, meta);
  }
  return edits.apply();
}

/** A message with one parameter replaced, given as JSON text; for notifications that name a request or a token. */
export function withParam(raw: Buffer, key: string, value: string): Buffer {
  const edits = new Edits(raw);
  const params = last(membersOf(raw, startOf(raw)), 'params');
  if (params !== undefined && isObject(raw, params.value)) {
    const member = last(membersOf(raw, params.value), key);
    if (member !== undefined) edits.replace(member.value, member.end, value);
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

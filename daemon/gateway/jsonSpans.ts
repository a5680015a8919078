/**
 * Finds where values stand in the bytes of a JSON text, so that a message can be changed in place and everything else in it
 * stays byte for byte what the sender wrote. Only for text that JSON.parse has accepted: nothing is checked here again.
 */

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

function skipSpace(json: Buffer, at: number): number {
  let i = at;
  while (true) {
    const c = json[i];
    if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) return i;
    i += 1;
  }
}

function endOfString(json: Buffer, at: number): number {
  // memchr is the fastest way over plain text; where quotes are escaped a loop beats a call for each of them
  const quote = json.indexOf(QUOTE, at + 1);
  if (quote === -1) return json.length;
  if (json[quote - 1] !== BACKSLASH) return quote + 1;
  let i = at + 1;
  while (i < json.length) {
    const c = json[i];
    if (c === BACKSLASH) i += 2;
    else if (c === QUOTE) return i + 1;
    else i += 1;
  }
  return json.length;
}

/** The index after the value that begins at `at`. */
export function endOfValue(json: Buffer, at: number): number {
  const first = json[at];
  if (first === QUOTE) return endOfString(json, at);
  let i = at;
  if (first !== 0x7b && first !== 0x5b) {
    // a number or a literal ends before , ] } or space
    while (i < json.length) {
      const c = json[i] as number;
      if (c === 0x2c || c === 0x5d || c === 0x7d || c <= 0x20) break;
      i += 1;
    }
    return i;
  }
  return depthOf(json, at).end;
}

/** Where the value at `at` ends, and how deep objects and arrays are nested in it. */
export function depthOf(json: Buffer, at: number): { end: number; depth: number } {
  const first = json[at];
  if (first !== 0x7b && first !== 0x5b) return { end: endOfValue(json, at), depth: 0 };
  let depth = 0;
  let deepest = 0;
  let i = at;
  while (i < json.length) {
    const c = json[i];
    if (c === QUOTE) {
      i = endOfString(json, i);
      continue;
    }
    if (c === 0x7b || c === 0x5b) {
      depth += 1;
      if (depth > deepest) deepest = depth;
    } else if (c === 0x7d || c === 0x5d) {
      depth -= 1;
      if (depth === 0) return { end: i + 1, depth: deepest };
    }
    i += 1;
  }
  return { end: i, depth: deepest };
}

/** One member of an object: `start` is its key's quote, `value` to `end` its value. */
export interface Member {
  readonly key: string;
  readonly start: number;
  readonly value: number;
  readonly end: number;
}

/** The members of the object whose brace is at `at`, in order; a key that stands twice is there twice. */
export function membersOf(json: Buffer, at: number): Member[] {
  return [...eachMember(json, at)];
}

/** The first member of that name; what stands after it is not looked at. */
export function findMember(json: Buffer, at: number, key: string): Member | undefined {
  for (const member of eachMember(json, at)) if (member.key === key) return member;
  return undefined;
}

/** True for `{}`. */
export function isEmptyObject(json: Buffer, at: number): boolean {
  return json[skipSpace(json, at + 1)] === 0x7d;
}

function* eachMember(json: Buffer, at: number): Generator<Member> {
  let i = skipSpace(json, at + 1);
  while (json[i] === QUOTE) {
    const start = i;
    const keyEnd = endOfString(json, start);
    const text = json.toString('latin1', start + 1, keyEnd - 1);
    const value = skipSpace(json, skipSpace(json, keyEnd) + 1);
    const plain = !text.includes('\\') && isAscii(text);
    const key: string = plain ? text : JSON.parse(json.toString('utf8', start, keyEnd));
    const member = new LazyMember(json, key, start, value);
    yield member;
    i = skipSpace(json, member.end);
    if (json[i] === 0x2c) i = skipSpace(json, i + 1);
  }
}

/** Finds its end when it is asked for: whoever stops at a large value never walks over it. */
class LazyMember implements Member {
  readonly key: string;
  readonly start: number;
  readonly value: number;
  readonly #json: Buffer;
  #end = -1;

  constructor(json: Buffer, key: string, start: number, value: number) {
    this.#json = json;
    this.key = key;
    this.start = start;
    this.value = value;
  }

  get end(): number {
    if (this.#end === -1) this.#end = endOfValue(this.#json, this.value);
    return this.#end;
  }
}

/** Start and end of each item of the array whose bracket is at `at`. */
export function itemsOf(json: Buffer, at: number): { value: number; end: number }[] {
  const items: { value: number; end: number }[] = [];
  let i = skipSpace(json, at + 1);
  while (i < json.length && json[i] !== 0x5d) {
    const end = endOfValue(json, i);
    items.push({ value: i, end });
    i = skipSpace(json, end);
    if (json[i] === 0x2c) i = skipSpace(json, i + 1);
  }
  return items;
}

/** Where the outermost value begins. */
export function startOf(json: Buffer): number {
  return skipSpace(json, 0);
}

export function isObject(json: Buffer, at: number): boolean {
  return json[at] === 0x7b;
}

export function isArray(json: Buffer, at: number): boolean {
  return json[at] === 0x5b;
}

function isAscii(latin1: string): boolean {
  for (let i = 0; i < latin1.length; i++) if (latin1.charCodeAt(i) > 0x7f) return false;
  return true;
}

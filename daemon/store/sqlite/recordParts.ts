import { depthOf, findMember, isObject, type Member, membersOf, startOf } from '../../gateway/jsonSpans.ts';
import { type BlobFolder, CAP_BYTES, INLINE_BYTES, truncated } from '../../records/blobs.ts';
import { redact, wasRedacted } from '../../records/redaction.ts';

/** One part of a recorded message as it is stored: JSON text, or the hash of the blob that has it. */
export interface StoredPart {
  readonly text: string | null;
  readonly blob: string | null;
  /** As it was sent, in bytes of UTF-8. */
  readonly bytes: number;
  readonly redactions: number;
}

/** What a call's request holds. */
export interface StartParts {
  readonly arguments: StoredPart;
  readonly meta: StoredPart;
}

/** What a call's response holds. */
export interface EndParts {
  readonly result: StoredPart;
  readonly error: StoredPart;
}

/** Nested deeper than this, a part is kept as a string of its JSON: readers of records walk them by recursion. */
const DEEPEST = 500;
const NONE: StoredPart = { text: null, blob: null, bytes: 0, redactions: 0 };

/**
 * Cuts the parts out of a JSON-RPC message as the text that was sent, so that numbers and escapes stay as they were, and
 * takes secrets out. A message that is no JSON object is kept whole, as a JSON string.
 */
export class RecordParts {
  readonly #blobs: BlobFolder | null;

  constructor(blobs: BlobFolder | null) {
    this.#blobs = blobs;
  }

  start(message: Buffer): StartParts {
    if (message.length === 0) return { arguments: NONE, meta: NONE };
    if (!isJsonObject(message)) return { arguments: this.#unparsed(message), meta: NONE };
    const params = lastMember(message, startOf(message), 'params');
    if (!params || !isObject(message, params.value)) return { arguments: NONE, meta: NONE };
    return {
      arguments: this.#part(message, lastMember(message, params.value, 'arguments')),
      meta: this.#part(message, lastMember(message, params.value, '_meta')),
    };
  }

  end(message: Buffer | null): EndParts {
    if (message === null || message.length === 0) return { result: NONE, error: NONE };
    if (!isJsonObject(message)) return { result: this.#unparsed(message), error: NONE };
    const start = startOf(message);
    const result = lastMember(message, start, 'result');
    // Some servers send both, one of them null. To look for an error means to walk over the result.
    const error = result && !message.includes('"error"') ? undefined : lastMember(message, start, 'error');
    return { result: this.#part(message, result), error: this.#part(message, error) };
  }

  #part(message: Buffer, member: Member | undefined): StoredPart {
    if (!member) return NONE;
    const { value } = member;
    const { end, depth } = depthOf(message, value);
    const bytes = end - value;
    let text = message.toString('utf8', value, end);
    if (text === 'null') return { ...NONE, bytes };
    if (depth > DEEPEST) text = JSON.stringify(text);
    return this.#store(text, bytes);
  }

  #unparsed(message: Buffer): StoredPart {
    return this.#store(JSON.stringify(message.toString('utf8')), message.length);
  }

  #store(whole: string, bytes: number): StoredPart {
    const { text, count } = redact(whole);
    const redactions = count || Number(wasRedacted(text));
    if (this.#blobs === null || text.length * 3 <= INLINE_BYTES) return { text, blob: null, bytes, redactions };
    const size = Buffer.byteLength(text, 'utf8');
    if (size <= INLINE_BYTES) return { text, blob: null, bytes, redactions };
    const kept = size > CAP_BYTES ? truncated(text, bytes) : text;
    return { text: null, blob: this.#blobs.write(kept), bytes, redactions };
  }
}

function isJsonObject(message: Buffer): boolean {
  try {
    JSON.parse(message.toString('utf8'));
    return isObject(message, startOf(message));
  } catch {
    return false; // kept as a string: what an upstream sent is a record whether it was right or not
  }
}

/**
 * The member that JSON.parse would have: of two with one key the last. Where the key is written once that is the first, and
 * nothing after it has to be read.
 */
function lastMember(json: Buffer, at: number, key: string): Member | undefined {
  if (!isObject(json, at)) return undefined;
  const first = findMember(json, at, key);
  if (first === undefined) return undefined;
  const again = json.includes(`"${key}"`, first.value) || json.includes('\\u', first.value);
  return again ? membersOf(json, at).findLast(member => member.key === key) : first;
}

import { endOfValue, isObject, type Member, membersOf, startOf } from '../../gateway/jsonSpans.ts';
import { type BlobFolder, CAP_BYTES, INLINE_BYTES, truncated } from '../../records/blobs.ts';
import { redact } from '../../records/redaction.ts';

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
 * takes secrets out. A message that is no JSON is kept whole, as a JSON string.
 */
export class RecordParts {
  readonly #blobs: BlobFolder | null;

  constructor(blobs: BlobFolder | null) {
    this.#blobs = blobs;
  }

  start(message: Buffer): StartParts {
    if (message.length === 0) return { arguments: NONE, meta: NONE };
    const members = parsedMembers(message);
    if (!members) return { arguments: this.#unparsed(message), meta: NONE };
    const params = last(members, 'params');
    if (!params || !isObject(message, params.value)) return { arguments: NONE, meta: NONE };
    const inner = membersOf(message, params.value);
    return {
      arguments: this.#part(message, last(inner, 'arguments')),
      meta: this.#part(message, last(inner, '_meta')),
    };
  }

  end(message: Buffer | null): EndParts {
    if (message === null || message.length === 0) return { result: NONE, error: NONE };
    const members = parsedMembers(message);
    if (!members) return { result: this.#unparsed(message), error: NONE };
    return { result: this.#part(message, last(members, 'result')), error: this.#part(message, last(members, 'error')) };
  }

  #part(message: Buffer, member: Member | undefined): StoredPart {
    if (!member) return NONE;
    const { value, end } = member;
    const bytes = end - value;
    let text = message.toString('utf8', value, end);
    if (text === 'null') return { ...NONE, bytes };
    if (bytes > DEEPEST && nestsDeeper(message, value, end)) text = JSON.stringify(text);
    return this.#store(text, bytes);
  }

  #unparsed(message: Buffer): StoredPart {
    return this.#store(JSON.stringify(message.toString('utf8')), message.length);
  }

  #store(whole: string, bytes: number): StoredPart {
    const { text, count: redactions } = redact(whole);
    if (this.#blobs === null || text.length * 3 <= INLINE_BYTES) return { text, blob: null, bytes, redactions };
    const size = Buffer.byteLength(text, 'utf8');
    if (size <= INLINE_BYTES) return { text, blob: null, bytes, redactions };
    const kept = size > CAP_BYTES ? truncated(text, bytes) : text;
    return { text: null, blob: this.#blobs.write(kept), bytes, redactions };
  }
}

/** The members of the outermost object; null when the message is no JSON object. */
function parsedMembers(message: Buffer): Member[] | null {
  try {
    JSON.parse(message.toString('utf8'));
  } catch {
    // Kept as a string: what an upstream sent is a record whether it was right or not.
    return null;
  }
  const start = startOf(message);
  return isObject(message, start) ? membersOf(message, start) : null;
}

/** As JSON.parse has it: of two members with one key the last counts. */
function last(members: readonly Member[], key: string): Member | undefined {
  return members.findLast(member => member.key === key);
}

function nestsDeeper(json: Buffer, start: number, end: number): boolean {
  let depth = 0;
  for (let i = start; i < end; ) {
    const c = json[i];
    if (c === 0x22) {
      i = endOfValue(json, i);
      continue;
    }
    if (c === 0x7b || c === 0x5b) {
      depth++;
      if (depth > DEEPEST) return true;
    } else if (c === 0x7d || c === 0x5d) depth--;
    i++;
  }
  return false;
}

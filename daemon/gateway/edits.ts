import { isEmptyObject, type Member } from './jsonSpans.ts';

interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** Changes to the bytes of one JSON text, made all at once: what no edit names is copied as it is. */
export class Edits {
  readonly source: Buffer;
  #edits: Edit[] = [];

  constructor(source: Buffer) {
    this.source = source;
  }

  /** Puts `text` in the place of the bytes from `start` to `end`. Edits never overlap. */
  replace(start: number, end: number, text: string): void {
    this.#edits.push({ start, end, text });
  }

  /** Puts `member` (`"key":value`) last into the object at `at`, where a reader that meets a key twice takes it from. */
  append(members: readonly Member[], at: number, member: string): void {
    const last = members.at(-1);
    if (last === undefined) this.replace(at + 1, at + 1, member);
    else this.replace(last.end, last.end, `,${member}`);
  }

  /** Puts `member` first into the object at `at`; nothing of the object has to be read for that. */
  prepend(at: number, member: string): void {
    this.replace(at + 1, at + 1, isEmptyObject(this.source, at) ? member : `${member},`);
  }

  /** Takes every member named `key` out of an object. */
  remove(members: readonly Member[], key: string): void {
    let kept = false;
    members.forEach((member, i) => {
      if (member.key !== key) {
        kept = true;
        return;
      }
      const before = members[i - 1];
      const after = members[i + 1];
      if (kept && before !== undefined) this.replace(before.end, member.end, '');
      else this.replace(member.start, after === undefined ? member.end : after.start, '');
    });
  }

  /** The changed text; the source itself when nothing was changed. */
  apply(): Buffer {
    if (this.#edits.length === 0) return this.source;
    const edits = this.#edits.sort((a, b) => a.start - b.start);
    const parts: Buffer[] = [];
    let at = 0;
    for (const edit of edits) {
      if (edit.start > at) parts.push(this.source.subarray(at, edit.start));
      if (edit.text !== '') parts.push(Buffer.from(edit.text));
      at = edit.end;
    }
    if (at < this.source.length) parts.push(this.source.subarray(at));
    return Buffer.concat(parts);
  }
}

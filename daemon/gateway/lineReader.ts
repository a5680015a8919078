/** Largest message that passes, in bytes. */
export const MESSAGE_LIMIT = 64 * 1024 * 1024;

const HEAD = 4096;

/**
 * Cuts a byte stream into lines without joining more than once: chunks are kept in a list until their line is whole. A line
 * over the limit is thrown away as it comes; `onOversize` gets its first bytes once.
 */
export class LineReader {
  #parts: Buffer[] = [];
  #length = 0;
  #skipping = false;
  readonly #onLine: (line: Buffer) => void;
  readonly #onOversize: (head: Buffer) => void;
  readonly #limit: number;

  constructor(onLine: (line: Buffer) => void, onOversize: (head: Buffer) => void, limit = MESSAGE_LIMIT) {
    this.#onLine = onLine;
    this.#onOversize = onOversize;
    this.#limit = limit;
  }

  push(chunk: Buffer): void {
    let from = 0;
    while (true) {
      const newline = chunk.indexOf(0x0a, from);
      if (newline === -1) break;
      this.#take(chunk.subarray(from, newline));
      from = newline + 1;
      if (this.#skipping) this.#skipping = false;
      else this.#emit();
    }
    if (from < chunk.length) this.#take(chunk.subarray(from));
  }

  #take(part: Buffer): void {
    if (this.#skipping) return;
    this.#parts.push(part);
    this.#length += part.length;
    if (this.#length <= this.#limit) return;
    const head = Buffer.concat(this.#parts.slice(0, 2)).subarray(0, HEAD);
    this.#parts = [];
    this.#length = 0;
    this.#skipping = true;
    this.#onOversize(head);
  }

  #emit(): void {
    const line = this.#parts.length === 1 ? (this.#parts[0] as Buffer) : Buffer.concat(this.#parts, this.#length);
    this.#parts = [];
    this.#length = 0;
    const end = line.at(-1) === 0x0d ? line.length - 1 : line.length;
    if (end > 0) this.#onLine(line.subarray(0, end));
  }
}

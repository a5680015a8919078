import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { itemsOf, startOf } from './jsonSpans.ts';

/**
 * Tool lists of upstreams, kept over restarts so that a client gets its tools while the upstream still starts. A list may
 * depend on the client's capabilities, so the key holds what the client sent to initialize.
 */
export class ListCache {
  readonly #dir: string | null;
  readonly #lists = new Map<string, Buffer[] | null>();
  readonly #onError: (error: unknown) => void;

  /** `dir` null keeps lists in memory only. */
  constructor(dir: string | null, onError: (error: unknown) => void) {
    this.#dir = dir;
    this.#onError = onError;
  }

  /** The key of one upstream for one kind of client. */
  static key(fingerprint: string, initializeParams: Buffer): string {
    return `${fingerprint}-${createHash('sha256').update(initializeParams).digest('hex').slice(0, 16)}`;
  }

  /** The items last seen, or null. */
  get(key: string): readonly Buffer[] | null {
    const known = this.#lists.get(key);
    if (known !== undefined) return known;
    const read = this.#read(key);
    this.#lists.set(key, read);
    return read;
  }

  /** Keeps the items; true when they differ from what was known. */
  put(key: string, items: readonly Buffer[]): boolean {
    const before = this.get(key);
    if (
      before !== null &&
      before.length === items.length &&
      before.every((item, i) => item.equals(items[i] as Buffer))
    ) {
      return false;
    }
    // copies, so that a small list does not hold the whole chunk that it came in
    this.#lists.set(
      key,
      items.map(item => Buffer.from(item)),
    );
    if (this.#dir !== null) void this.#write(this.#dir, key, items);
    return true;
  }

  #read(key: string): Buffer[] | null {
    if (this.#dir === null) return null;
    try {
      const json = readFileSync(path.join(this.#dir, `${key}.json`));
      JSON.parse(json.toString('utf8'));
      return itemsOf(json, startOf(json)).map(item => json.subarray(item.value, item.end));
    } catch (error) {
      // a missing or torn cache is only a slower start
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') this.#onError(error);
      return null;
    }
  }

  async #write(dir: string, key: string, items: readonly Buffer[]): Promise<void> {
    const file = path.join(dir, `${key}.json`);
    const temporary = `${file}.${randomBytes(4).toString('hex')}`;
    try {
      mkdirSync(dir, { recursive: true, mode: 0o700 });
      const text = Buffer.concat([
        Buffer.from('['),
        ...items.flatMap((item, i) => (i > 0 ? [Buffer.from(','), item] : [item])),
        Buffer.from(']'),
      ]);
      await writeFile(temporary, text, { mode: 0o600 });
      await rename(temporary, file);
    } catch (error) {
      this.#onError(error);
    }
  }
}

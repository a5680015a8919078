import { createHash } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { DaemonError } from '../../shared/errors.ts';

/** A JSON part longer than this (in bytes) goes to a blob. */
export const INLINE_BYTES = 256 * 1024;
/** A JSON part longer than this is cut: see truncated(). */
export const CAP_BYTES = 64 * 1024 * 1024;
const HEAD_CHARACTERS = 64 * 1024;

/** What stands for a part that is over the cap: its size in bytes, and how it began. */
export function truncated(text: string, bytes: number): string {
  return JSON.stringify({ truncated: true, bytes, head: text.slice(0, HEAD_CHARACTERS).toWellFormed() });
}

/**
 * Big parts of records, one file each, named by the SHA-256 of its content: `ab/abcdef…`. Writing the same content twice
 * keeps one file. A file is whole or absent. With `sync` it is on the disk when write() returns, else when the caller
 * has synced what `unsynced` names.
 */
export class BlobFolder {
  readonly #folder: string;
  readonly #sync: boolean;
  #unsynced: string[] = [];

  constructor(folder: string, sync: boolean) {
    this.#folder = folder;
    this.#sync = sync;
  }

  /** Writes the text; returns its hash. */
  write(text: string): string {
    const bytes = Buffer.from(text, 'utf8');
    const hash = createHash('sha256').update(bytes).digest('hex');
    const path = this.#path(hash);
    // One of another length is what a power cut left of it.
    if (statSync(path, { throwIfNoEntry: false })?.size === bytes.length) return hash;
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const part = `${path}.${process.pid}.part`;
    const fd = openSync(part, 'w', 0o600);
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
      if (this.#sync) fsyncSync(fd);
      closeSync(fd);
    } catch (error) {
      closeSync(fd);
      rmSync(part, { force: true });
      throw error;
    }
    renameSync(part, path);
    if (this.#sync) for (const folder of [dirname(path), this.#folder]) syncFolder(folder);
    else this.#unsynced.push(path);
    return hash;
  }

  /** The text with this hash; when something else removed the file, what stands for it. Rejects with `internal` when it can't be read. */
  read(hash: string): string {
    const path = this.#path(hash);
    try {
      return readFileSync(path, 'utf8');
    } catch (cause) {
      if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT')
        return JSON.stringify({ missing_blob: hash });
      throw new DaemonError(
        'internal',
        `${path} can't be read, and a part of this call is in it: see its owner and mode`,
        { cause },
      );
    }
  }

  /** Paths written since the last call, not yet synced. */
  takeUnsynced(): string[] {
    return this.#unsynced.splice(0);
  }

  #path(hash: string): string {
    return join(this.#folder, hash.slice(0, 2), hash);
  }
}

function syncFolder(folder: string): void {
  // Windows has no such thing as syncing a folder.
  if (process.platform === 'win32') return;
  const fd = openSync(folder, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

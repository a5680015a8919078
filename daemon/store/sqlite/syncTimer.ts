import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Database } from 'better-sqlite3';

/** So much before the second is over, that the sync is done by its end. */
const SYNC_AFTER_MS = 800;
const CHECKPOINT_EVERY_MS = 30_000;
const IDLE_MS = 250;
/** How long a checkpoint waits for readers before it is left to the next turn. */
const CHECKPOINT_WAIT_MS = 200;

/**
 * Keeps the promise of durability `process`: what is committed is on the disk within a second. The log is synced by a
 * thread of the pool while the worker goes on writing; with `power` each commit does that itself. Also keeps the log short.
 */
export class SyncTimer {
  readonly #db: Database;
  readonly #file: string;
  readonly #each: boolean;
  readonly #takeBlobs: () => string[];
  readonly #onFault: (error: unknown) => void;
  readonly #checkpoints: NodeJS.Timeout;
  #timer: NodeJS.Timeout | null = null;
  #syncing: Promise<void> = Promise.resolve();
  #lastCommit = 0;
  #grown = false;

  constructor(
    db: Database,
    options: {
      file: string;
      durability: 'process' | 'power';
      takeBlobs: () => string[];
      onFault: (e: unknown) => void;
    },
  ) {
    this.#db = db;
    this.#file = options.file;
    this.#each = options.durability === 'power';
    this.#takeBlobs = options.takeBlobs;
    this.#onFault = options.onFault;
    this.#checkpoints = setInterval(() => this.#checkpoint(), CHECKPOINT_EVERY_MS);
  }

  /** To be called after each commit. */
  committed(): void {
    this.#grown = true;
    this.#lastCommit = performance.now();
    if (this.#each || this.#timer) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#syncing = this.#syncing.then(() => this.#sync()).catch(this.#onFault);
    }, SYNC_AFTER_MS);
  }

  /** Syncs what is left, and stops. */
  async close(): Promise<void> {
    clearInterval(this.#checkpoints);
    if (this.#timer) clearTimeout(this.#timer);
    await this.#syncing;
    if (this.#timer) await this.#sync();
  }

  async #sync(): Promise<void> {
    const blobs = this.#takeBlobs();
    const folders = new Set(blobs.flatMap(path => [dirname(path), dirname(dirname(path))]));
    for (const path of [...blobs, ...folders]) await syncPath(path);
    await syncPath(`${this.#file}-wal`);
    await syncPath(dirname(this.#file));
  }

  #checkpoint(): void {
    if (!this.#grown || performance.now() - this.#lastCommit < IDLE_MS) return;
    try {
      const before = this.#db.pragma('busy_timeout', { simple: true });
      this.#db.pragma(`busy_timeout = ${CHECKPOINT_WAIT_MS}`);
      this.#db.pragma('wal_checkpoint(TRUNCATE)');
      this.#db.pragma(`busy_timeout = ${before}`);
      this.#grown = false;
    } catch (error) {
      this.#onFault(error);
    }
  }
}

async function syncPath(path: string): Promise<void> {
  // Windows syncs files that are open for writing only, and no folders.
  const windows = process.platform === 'win32';
  const handle = await open(path, windows ? 'r+' : 'r').catch((error: NodeJS.ErrnoException) => {
    if (windows && (error.code === 'EISDIR' || error.code === 'EPERM')) return null;
    throw error;
  });
  if (!handle) return;
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

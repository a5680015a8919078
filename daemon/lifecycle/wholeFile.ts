import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fsyncSync,
  lstatSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';

// Windows has no O_NOFOLLOW; there a link in the home takes rights that its owner alone has.
const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | (constants.O_NOFOLLOW ?? 0);
const TEMPORARY = /^\..+\.[0-9a-f]{16}\.tmp$/;
const LEFT_BEHIND_MS = 60_000;
const RENAME_TRIES = 20;
const RENAME_PAUSE_MS = 10;

/**
 * Writes a file whole: a reader sees the old content or the new one, never a part, also after a crash. A symlink at `path`
 * is replaced, not followed. `mode` is 0600 unless given.
 */
export function writeWhole(path: string, content: string, mode = 0o600): void {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(8).toString('hex')}.tmp`);
  try {
    const file = openSync(temporary, NEW_FILE, mode);
    try {
      const bytes = Buffer.from(content);
      for (let written = 0; written < bytes.length; ) written += writeSync(file, bytes, written);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameOver(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/** Removes what a writeWhole that was killed left in `folder`; files younger than a minute may still be in use. */
export function sweepTemporary(folder: string): void {
  for (const name of readdirSync(folder)) {
    if (!TEMPORARY.test(name)) continue;
    const path = join(folder, name);
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat && Date.now() - stat.mtimeMs > LEFT_BEHIND_MS) rmSync(path, { force: true });
  }
}

function renameOver(from: string, to: string): void {
  for (let tries = 1; ; tries++) {
    try {
      renameSync(from, to);
      return;
    } catch (error) {
      // On Windows a reader holds a file for a moment, and a rename over it is refused meanwhile.
      if (process.platform !== 'win32' || tries >= RENAME_TRIES) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RENAME_PAUSE_MS);
    }
  }
}

import { randomBytes } from 'node:crypto';
import type { HomePaths } from './home.ts';
import { readPrivate } from './privateFile.ts';
import { writeWhole } from './wholeFile.ts';

const TOKEN = /^[A-Za-z0-9_-]{43,128}$/;

/**
 * The bearer token of a home: 256 random bits in base64url, made once and kept, so that what clients were given stays
 * good. One that can't be believed (damaged, a symlink) is replaced. Only the holder of the lock may call it.
 */
export function keptToken(paths: HomePaths): string {
  const kept = readPrivate(paths.token)?.trim();
  if (kept !== undefined && TOKEN.test(kept)) return kept;
  const token = randomBytes(32).toString('base64url');
  writeWhole(paths.token, `${token}\n`);
  return token;
}

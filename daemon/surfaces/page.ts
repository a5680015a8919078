import { readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { DaemonError } from '../../shared/errors.ts';

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.map': 'application/json',
};

export interface PageFile {
  readonly type: string;
  readonly content: Uint8Array<ArrayBuffer>;
}

/** Reads a file of the built page by its plain name; null when there is none. Never leaves `folder`. */
export async function pageFile(folder: string, name: string): Promise<PageFile | null> {
  const type = types[extname(name)];
  if (type === undefined || !/^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(name)) return null;
  try {
    return { type, content: new Uint8Array(await readFile(join(folder, name))) };
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}

/** The page itself; rejects with `unavailable` when it was not built. */
export async function pageIndex(folder: string): Promise<PageFile> {
  const file = await pageFile(folder, 'page.html');
  if (!file) throw new DaemonError('unavailable', `page.html is not in ${folder}: build it with \`npm run build\``);
  return file;
}

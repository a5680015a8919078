import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Path of the prebuilt SQLite binary beside the bundle, to be given as `nativeBinding`; undefined when running from
 * sources, where better-sqlite3 finds its own.
 */
export function sqliteBinding(): string | undefined {
  const here = dirname(fileURLToPath(import.meta.url));
  const name = `${isMusl() ? 'linuxmusl' : process.platform}-${process.arch}.node`;
  // The second place is for code that the bundler moved into dist/chunks.
  return [join(here, 'sqlite', name), join(here, '..', 'sqlite', name)].find(path => existsSync(path));
}

function isMusl(): boolean {
  if (process.platform !== 'linux') return false;
  try {
    return /\/ld-musl-[^/\s]*\.so/.test(readFileSync('/proc/self/maps', 'latin1'));
  } catch {
    // No /proc: musl's loader has a fixed place.
    return ['x86_64', 'aarch64'].some(arch => existsSync(`/lib/ld-musl-${arch}.so.1`));
  }
}

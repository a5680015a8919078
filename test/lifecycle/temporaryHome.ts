import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** A folder of its own for each test of the suite that calls it; removed afterwards, once `settle` has ended what uses it. */
export function temporaryFolder(settle?: (path: string) => Promise<void>): { readonly path: string } {
  const folder = { path: '' };
  beforeEach(() => {
    folder.path = mkdtempSync(join(realpathSync(tmpdir()), 'sessiond-test-'));
  });
  afterEach(async () => {
    await settle?.(folder.path);
    rmSync(folder.path, { recursive: true, force: true });
  });
  return folder;
}

/** Polls until `ready` gives something, and rejects after ten seconds. */
export async function until<Value>(what: string, ready: () => Value | Promise<Value>): Promise<NonNullable<Value>> {
  const limit = performance.now() + 10_000;
  for (;;) {
    const value = await ready();
    if (value !== null && value !== undefined && value !== false) return value;
    if (performance.now() > limit) throw new Error(`waited in vain for ${what}`);
    await sleep(10);
  }
}

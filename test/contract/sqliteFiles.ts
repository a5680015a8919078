import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { SqliteStoreOptions } from '../../daemon/store/sqlite/sqliteStore.ts';

/** A folder of its own, to be removed by the test. */
export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), 'sessiond-store-'));
}

/** Options of a store whose blobs lie beside its file. */
export function sqliteOptions(file: string): SqliteStoreOptions {
  return {
    file,
    workerUrl: new URL('../../daemon/store/sqlite/storeWorker.ts', import.meta.url),
    blobDir: join(dirname(file), 'blobs'),
    durability: 'process',
    userId: 'tester',
  };
}

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { openSqliteStore } from '../../daemon/store/sqlite/sqliteStore.ts';
import { sqliteOptions, temporaryFolder } from './sqliteFiles.ts';
import { describeStore } from './storeContract.ts';

const folders: string[] = [];

function cleanup(): void {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
}

describeStore(
  'an SQLite file',
  now => {
    const folder = temporaryFolder();
    folders.push(folder);
    return openSqliteStore({ ...sqliteOptions(join(folder, 'sessions.db')), ...(now ? { now } : {}) });
  },
  cleanup,
);

describeStore(
  'SQLite in memory',
  now => openSqliteStore({ ...sqliteOptions(':memory:'), blobDir: null, ...(now ? { now } : {}) }),
  cleanup,
);

// Writes calls to the store given as argument, and says which were acknowledged, until it is killed.
import { writeSync } from 'node:fs';
import { openSqliteStore } from '../../daemon/store/sqlite/sqliteStore.ts';
import { end, start } from './callRecords.ts';
import { sqliteOptions } from './sqliteFiles.ts';

const store = await openSqliteStore(sqliteOptions(process.argv[2] ?? ''));
while (true) {
  const calls = Array.from({ length: 8 }, () => start({ session_id: 's' }));
  await Promise.all(
    calls.map(async call => {
      await store.writeRecords([call]);
      await store.writeRecords([end(call)]);
      writeSync(1, `${call.start.invocation_id}\n`);
    }),
  );
}

/** Writes calls without end into the home that it is given, until it is killed. */
import { setTimeout as sleep } from 'node:timers/promises';
import { openHistoryWorld, recordsOf } from './historyWorld.ts';

process.umask(0o077);
const { store, history } = await openHistoryWorld(process.argv[2] ?? '');
store.onEvents(() => history.nudge());
history.start();
const big = JSON.stringify({ text: 'x'.repeat(300_000) });
for (let n = 0; ; n++) {
  const batch = Array.from({ length: 20 }, (_, index) =>
    recordsOf({ session_id: `s${(n + index) % 7}`, ...(index === 0 && n % 10 === 0 ? { result: big } : {}) }),
  );
  await store.writeRecords(batch.flatMap(({ records }) => records));
  await sleep(20);
}

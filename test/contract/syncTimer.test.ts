import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openForWriting } from '../../daemon/store/sqlite/openDatabase.ts';
import { SyncTimer } from '../../daemon/store/sqlite/syncTimer.ts';
import { temporaryFolder } from './sqliteFiles.ts';

describe('the sync of durability process', () => {
  let folder: string;
  beforeEach(() => {
    folder = temporaryFolder();
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** When each sync began, after so many commits; and what went wrong. */
  async function syncsAfter(commits: number, blobs: string[], durability: 'process' | 'power' = 'process') {
    const db = openForWriting({ file: join(folder, 's.db') }, durability);
    db.exec('CREATE TABLE IF NOT EXISTS t (n)');
    const faults: unknown[] = [];
    const syncs: number[] = [];
    let done = () => {};
    const synced = new Promise<void>(resolve => {
      done = resolve;
    });
    const timer = new SyncTimer(db, {
      file: join(folder, 's.db'),
      durability,
      onFault: fault => faults.push(fault),
      takeBlobs: () => {
        syncs.push(performance.now() - begun);
        done();
        return blobs;
      },
    });
    const begun = performance.now();
    for (let i = 0; i < commits; i++) {
      db.exec('INSERT INTO t VALUES (1)');
      timer.committed();
    }
    if (durability === 'process' && commits > 0) await synced;
    await timer.close();
    db.close();
    return { syncs, faults };
  }

  it('comes once, within a second of the first commit, however many follow', async () => {
    const blob = join(folder, 'blob');
    writeFileSync(blob, 'x');
    const { syncs, faults } = await syncsAfter(50, [blob]);
    assert.deepEqual(faults, []);
    assert.equal(syncs.length, 1);
    assert.ok((syncs[0] ?? 0) < 1000, `${syncs[0]} ms`);
  });

  it('is told of when it fails', async () => {
    const { faults } = await syncsAfter(1, [join(folder, 'gone')]);
    assert.equal(faults.length, 1);
    assert.match(String(faults[0]), /ENOENT.*gone/);
  });

  it('is not needed without a commit, nor with durability power', async () => {
    assert.deepEqual(await syncsAfter(0, []), { syncs: [], faults: [] });
    assert.deepEqual(await syncsAfter(3, [], 'power'), { syncs: [], faults: [] });
  });
});

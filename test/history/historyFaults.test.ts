import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HistoryWriter } from '../../daemon/history/historyWriter.ts';
import { DaemonError } from '../../shared/errors.ts';
import { temporaryFolder, until } from '../lifecycle/temporaryHome.ts';
import { type HistoryWorld, openHistoryWorld, recordsOf } from './historyWorld.ts';

describe('.history in trouble', () => {
  let world: HistoryWorld | null = null;
  let child: ChildProcess | null = null;
  const home = temporaryFolder(async () => {
    child?.kill('SIGKILL');
    await world?.close();
    world = null;
  });
  async function open(): Promise<HistoryWorld> {
    world = await openHistoryWorld(home.path);
    return world;
  }
  const at = (...names: string[]) => join(home.path, ...names);

  it('says once what stands in the way, and catches up by itself when that is gone', async () => {
    const { store, history, errors } = await open();
    writeFileSync(at('.history'), 'a file');
    const { invocation_id, records } = recordsOf({});
    await store.writeRecords(records);
    history.start();
    await until('the error', () => errors.length > 0);
    await assert.rejects(
      history.flush(),
      (error: unknown) => error instanceof DaemonError && /\.history/.test(error.message),
    );
    await assert.rejects(history.flush());
    assert.equal(errors.length, 1);
    assert.match(errors[0]?.message ?? '', /is a link or a file where a folder must be: move it away/);
    assert.equal(readFileSync(at('.history'), 'utf8'), 'a file');
    rmSync(at('.history'));
    await until('the folder', async () => (await store.getInvocation(invocation_id)).history_dir);
  });

  it('does not let one session that cannot be written hold up the rest', async () => {
    const { store, history, errors } = await open();
    mkdirSync(at('.sessions', 'bad'), { recursive: true });
    writeFileSync(at('.sessions', 'bad', 'invocations'), 'a file');
    const bad = recordsOf({ session_id: 'bad' });
    const good = recordsOf({ session_id: 'good' });
    await store.writeRecords([...bad.records, ...good.records]);
    await assert.rejects(history.flush());
    assert.ok(existsSync(at('.sessions', 'good', 'invocations', good.invocation_id, 'record.jsonl')));
    assert.ok((await store.getInvocation(bad.invocation_id)).history_dir);
    assert.equal(errors.length, 1);
    rmSync(at('.sessions', 'bad', 'invocations'));
    await history.flush();
    assert.ok(existsSync(at('.sessions', 'bad', 'invocations', bad.invocation_id, 'record.jsonl')));
  });

  it('reports a thread that does not start, and throws nothing', async () => {
    const { store } = await open();
    const errors: DaemonError[] = [];
    const history = new HistoryWriter({
      home: home.path,
      file: at('sessions.db'),
      blobDir: null,
      workerUrl: new URL('file:///nowhere/historyWorker.js'),
      store,
      onError: error => errors.push(error),
    });
    history.start();
    history.nudge();
    await until('the error', () => errors.length > 0);
    await assert.rejects(history.flush());
    await history.close();
    await assert.rejects(history.flush(), /closed/);
  });

  it('mends at the start what a power cut took after it was marked', async () => {
    const first = await open();
    const { invocation_id, records } = recordsOf({ arguments: { path: 'kept' } });
    await first.store.writeRecords(records);
    await first.history.flush();
    const { history_dir } = await first.store.getInvocation(invocation_id);
    await first.close();
    const record = at('.history', history_dir ?? '', 'record.jsonl');
    truncateSync(record, 0);
    const second = await open();
    await second.history.flush();
    assert.deepEqual(JSON.parse(readFileSync(record, 'utf8')), await second.store.getInvocation(invocation_id));
  });

  it('is written although a blob is gone, and says which', async () => {
    const { store, history } = await open();
    const lost = recordsOf({ result: JSON.stringify('x'.repeat(300_000)) });
    const kept = recordsOf({});
    await store.writeRecords([...lost.records, ...kept.records]);
    rmSync(at('blobs'), { recursive: true });
    await history.flush();
    const { history_dir } = await store.getInvocation(lost.invocation_id);
    const record = JSON.parse(readFileSync(at('.history', history_dir ?? '', 'record.jsonl'), 'utf8'));
    assert.match(record.result.missing_blob, /^[0-9a-f]{64}$/);
    assert.ok((await store.getInvocation(kept.invocation_id)).history_dir);
  });

  it('is complete when it is closed with time to write what is left', async () => {
    const { store, history, errors } = await open();
    history.start();
    const { invocation_id, records } = recordsOf({});
    await store.writeRecords(records);
    await history.close(10_000);
    const { history_dir } = await store.getInvocation(invocation_id);
    assert.ok(existsSync(at('.history', history_dir ?? '', 'record.jsonl')));
    assert.deepEqual(errors, []);
  });

  it('has no hole after kill -9', async () => {
    child = spawn(process.execPath, [fileURLToPath(new URL('historyVictim.ts', import.meta.url)), home.path], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    await until('some folders', () => existsSync(at('.history')) && readdirSync(at('.history')).length > 100);
    child.kill('SIGKILL');
    await once(child, 'exit');
    const { store, history } = await open();
    await history.flush();
    let cursor: string | undefined;
    let seen = 0;
    do {
      const page = await store.listInvocations({ limit: 200, ...(cursor === undefined ? {} : { cursor }) });
      for (const { invocation_id, session_id, history_dir, ended_at } of page.items) {
        if (ended_at === null) continue;
        seen++;
        const link = at('.sessions', session_id ?? '', 'invocations', invocation_id, 'record.jsonl');
        const record = JSON.parse(readFileSync(link, 'utf8'));
        assert.equal(record.invocation_id, invocation_id);
        assert.equal(record.history_dir, history_dir);
        if (record.result.$file) JSON.parse(readFileSync(at('.history', history_dir ?? '', 'result.json'), 'utf8'));
      }
      cursor = page.next_cursor ?? undefined;
    } while (cursor !== undefined);
    assert.ok(seen > 100, `${seen} calls`);
    assert.equal(readdirSync(at('.history')).length, seen);
  });
});

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import Database from 'better-sqlite3';
import { EventLog } from '../../daemon/store/sqlite/eventLog.ts';
import { openForWriting } from '../../daemon/store/sqlite/openDatabase.ts';
import { openSqliteReader } from '../../daemon/store/sqlite/reader.ts';
import { migrate } from '../../daemon/store/sqlite/schema.ts';
import { openSqliteStore } from '../../daemon/store/sqlite/sqliteStore.ts';
import type { Store } from '../../daemon/store/store.ts';
import { end, start } from './callRecords.ts';
import { sqliteOptions, temporaryFolder } from './sqliteFiles.ts';

describe('the SQLite file', () => {
  let file: string;
  let stores: Store[];
  beforeEach(() => {
    file = join(temporaryFolder(), 'sessions.db');
    stores = [];
  });
  afterEach(async () => {
    for (const store of stores) await store.close();
    rmSync(dirname(file), { recursive: true });
  });

  async function open(more: Partial<ReturnType<typeof sqliteOptions>> = {}): Promise<Store> {
    const store = await openSqliteStore({ ...sqliteOptions(file), ...more });
    stores.push(store);
    return store;
  }
  function filesBelow(folder: string): string[] {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter(entry => entry.isFile())
      .map(entry => join(entry.parentPath, entry.name));
  }

  it('has every acknowledged call after kill -9', async () => {
    const writer = new URL('killedWriter.ts', import.meta.url).pathname;
    const acknowledged: string[] = [];
    for (let round = 0; round < 2; round++) {
      const child = spawn(process.execPath, [writer, file], { stdio: ['ignore', 'pipe', 'inherit'] });
      let text = '';
      child.stdout.on('data', chunk => {
        text += chunk;
        if (text.length > 37 * 300) child.kill('SIGKILL');
      });
      await once(child, 'close');
      acknowledged.push(...text.split('\n').slice(0, -1));
    }
    assert.ok(acknowledged.length >= 600);
    const store = await open();
    for (const id of acknowledged) assert.equal((await store.getInvocation(id)).status, 'completed');
    const { total_invocations } = await store.getSession('s');
    assert.equal(total_invocations, (await store.counts()).invocations);
  });

  it('shows what was written before when it is opened again, and goes on with its events', async () => {
    const first = await open();
    await first.createSession({ session_id: 'a' });
    await first.close();
    assert.deepEqual(readdirSync(dirname(file)), ['sessions.db']);
    await assert.rejects(first.getSession('a'), { code: 'unavailable', message: /closed/ });
    const second = await open();
    await second.updateSession('a', { title: 'x' });
    const { events } = await second.listEvents(0, 10);
    assert.deepEqual(
      events.map(({ seq, type }) => [seq, type]),
      [
        [1, 'session.created'],
        [2, 'session.updated'],
      ],
    );
  });

  it('can be open twice: each sees what the other wrote', async () => {
    const [one, two] = await Promise.all([open(), open()]);
    await one.createSession({ session_id: 'a' });
    await one.writeRecords([start({ session_id: 'a' })]);
    await two.writeRecords([start({ session_id: 'a' })]);
    await two.updateSession('a', { status: 'suspended' });
    await one.writeRecords([start({ session_id: 'a' })]);
    const session = await two.getSession('a');
    assert.deepEqual([session.total_invocations, session.status], [3, 'active']);
    const { events } = await one.listEvents(0, 50);
    assert.deepEqual(
      events.map(({ seq }) => seq),
      events.map((_, i) => i + 1),
    );
  });

  it('is private, whatever the umask', async () => {
    const umask = process.umask(0o022);
    try {
      const store = await open();
      const call = start({}, { arguments: { text: 'x'.repeat(400_000) } });
      await store.writeRecords([call]);
      const files = filesBelow(dirname(file));
      assert.equal(files.length, 4);
      for (const path of files) assert.equal(statSync(path).mode & 0o077, 0, path);
      assert.equal(statSync(join(dirname(file), 'blobs')).mode & 0o077, 0);
    } finally {
      process.umask(umask);
    }
  });

  it('puts parts over 256 KiB into blobs by their content, and reads them back', async () => {
    const store = await open();
    const big = { text: 'é"\n'.repeat(300_000) };
    const [one, two] = [start({}, { arguments: big, _meta: big }), start({}, { arguments: big })];
    await store.writeRecords([one, end(one, {}, { result: { content: [big] } })]);
    await store.writeRecords([two, end(two, { status: 'failed' }, { error: { code: 1, message: 'm', data: big } })]);
    const [first, second] = [one, two].map(call => store.getInvocation(call.start.invocation_id));
    assert.deepEqual((await first)?.arguments, big);
    assert.deepEqual((await first)?.meta, big);
    assert.deepEqual((await first)?.result, { content: [big] });
    assert.deepEqual((await second)?.error, { code: 1, message: 'm', data: big });
    assert.equal((await first)?.arguments_bytes, Buffer.byteLength(JSON.stringify(big)));
    assert.equal(filesBelow(join(dirname(file), 'blobs')).length, 3);
    await store.close();
    assert.ok(statSync(file).size < 200_000);
  });

  it('writes a blob again that a power cut left short, and shows a call whose blob is gone', async () => {
    const store = await open();
    const text = 'x'.repeat(400_000);
    const [one, two] = [start({}, { arguments: text }), start({}, { arguments: text })];
    await store.writeRecords([one]);
    const [blob = ''] = filesBelow(join(dirname(file), 'blobs'));
    truncateSync(blob, 0);
    await store.writeRecords([two]);
    assert.equal((await store.getInvocation(one.start.invocation_id)).arguments, text);
    rmSync(blob);
    const { arguments: args } = await store.getInvocation(two.start.invocation_id);
    assert.deepEqual(args, { missing_blob: basename(blob) });
  });

  it('cuts a part over 64 MiB, and says so', async () => {
    const store = await open();
    const call = start({}, { arguments: 'x'.repeat(65 * 1024 * 1024) });
    await store.writeRecords([call]);
    const { arguments: args, arguments_bytes } = await store.getInvocation(call.start.invocation_id);
    const head = `"${'x'.repeat(64 * 1024 - 1)}`;
    assert.deepEqual(args, { truncated: true, bytes: 65 * 1024 * 1024 + 2, head });
    assert.equal(arguments_bytes, 65 * 1024 * 1024 + 2);
  });

  it('never writes a secret: not to the database, its log, an event or a blob', async () => {
    const store = await open();
    const secret = 'hunter2hunter2';
    const params = {
      arguments: { password: secret, nested: JSON.stringify({ token: secret }) },
      _meta: { api_key: secret },
    };
    const calls = ['result', 'error'].map(kind => {
      const call = start({ session_id: 's' }, params);
      const answer = { [kind]: { secret, text: `x=https://u:${secret}@h/ ${'y'.repeat(300_000)}` } };
      return [call, end(call, { error_message: `Authorization: Bearer ${secret}` }, answer)];
    });
    await store.writeRecords(calls.flat());
    const files = filesBelow(dirname(file));
    assert.ok(files.some(path => path.endsWith('-wal')) && files.some(path => path.includes('blobs')));
    for (const path of files) assert.ok(!readFileSync(path).includes(secret), path);
    const { items } = await store.listInvocations({ limit: 5 });
    assert.deepEqual(
      items.map(({ redacted, error_message }) => [redacted, error_message]),
      [
        [true, 'Authorization: Bearer [redacted:authorization]'],
        [true, 'Authorization: Bearer [redacted:authorization]'],
      ],
    );
    const detail = await store.getInvocation(items[0]?.invocation_id ?? '');
    assert.deepEqual(detail.meta, { api_key: '[redacted:member]' });
  });

  it('tells the history writer what is not on the disk yet', async () => {
    const store = await open();
    const [one, two] = [start({ session_id: 's', started_at: 1000 }), start({ session_id: 's', started_at: 2000 })];
    await store.writeRecords([two, one, end(one)]);
    const reader = openSqliteReader({ file, blobDir: join(dirname(file), 'blobs') });
    try {
      const unwritten = () => [...reader.unwrittenTexts(10)].map(({ invocation }) => invocation);
      const [text] = reader.unwrittenTexts(10);
      const {
        arguments: args,
        meta: _m,
        result: _r,
        error: _e,
        ...call
      } = await store.getInvocation(one.start.invocation_id);
      assert.deepEqual([text?.invocation, JSON.parse(text?.parts.arguments ?? '')], [call, args]);
      assert.equal(unwritten().length, 1);
      await store.markHistory([{ invocation_id: one.start.invocation_id, history_dir: 'dir' }]);
      assert.deepEqual(unwritten(), []);
      assert.equal((await store.getInvocation(one.start.invocation_id)).history_dir, 'dir');
      const calls = reader.sessionInvocations('s', 0, 10);
      assert.deepEqual(
        calls.map(({ invocation_id }) => invocation_id),
        [one, two].map(call => call.start.invocation_id),
      );
      assert.equal(reader.sessionInvocations('s', calls[0]?.num ?? 0, 10).length, 1);

      const [dirty] = reader.dirtySessions(10);
      assert.ok(dirty);
      await store.writeRecords([end(two)]);
      await store.markSessionFiles([{ session_id: 's', revision: dirty.revision }]);
      const [again] = reader.dirtySessions(10);
      assert.ok(again && again.revision > dirty.revision);
      await store.markSessionFiles([{ session_id: 's', revision: again.revision }]);
      assert.deepEqual(reader.dirtySessions(10), []);
      assert.deepEqual(await store.getSession('s').then(({ version }) => version), again.version);

      await store.linkInvocation(one.start.invocation_id, (await store.createSession({})).session_id);
      assert.deepEqual(
        unwritten()
          .map(({ invocation_id }) => invocation_id)
          .includes(one.start.invocation_id),
        true,
      );
      assert.equal(reader.dirtySessions(10).length, 2);
    } finally {
      reader.close();
    }
  });

  it('syncs each commit with durability power, and sets what it needs in either', () => {
    for (const [durability, synchronous] of [
      ['process', 1],
      ['power', 2],
    ] as const) {
      const db = openForWriting({ file }, durability);
      assert.equal(db.pragma('synchronous', { simple: true }), synchronous);
      assert.equal(db.pragma('journal_mode', { simple: true }), 'wal');
      db.close();
    }
  });

  it('works with durability power', async () => {
    const store = await open({ durability: 'power' });
    const calls = Array.from({ length: 20 }, () => start({ session_id: 's' }, { arguments: 'y'.repeat(300_000) }));
    await Promise.all(calls.map(call => store.writeRecords([call])));
    assert.equal((await store.counts()).invocations, 20);
  });

  it('refuses a file that is no database, or of a newer sessiond, and says which', async () => {
    writeFileSync(file, 'x'.repeat(5000));
    await assert.rejects(openSqliteStore(sqliteOptions(file)), {
      code: 'unavailable',
      message: /sessions\.db: it is no/,
    });
    rmSync(file);
    await (await open()).close();
    const db = new Database(file);
    db.exec("INSERT INTO schema_version VALUES (99, 'later')");
    db.close();
    await assert.rejects(openSqliteStore(sqliteOptions(file)), { code: 'unavailable', message: /schema 99/ });
  });

  it('keeps the newest 100,000 events', () => {
    const db = openForWriting({ file }, 'process');
    migrate(db, file);
    db.exec(`INSERT INTO events (seq, at, type, data) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n
      WHERE i < 100500) SELECT i, '', 'session.updated', '{}' FROM n`);
    const log = new EventLog(db, Date.now);
    for (let i = 0; i < 1500; i++) log.append('session.updated', null, '{"a":1}');
    const kept = db
      .prepare<[], { n: number; low: number; high: number }>(
        'SELECT count(*) AS n, min(seq) AS low, max(seq) AS high FROM events',
      )
      .get();
    db.close();
    assert.ok(kept && kept.high === 102_000 && kept.n >= 100_000 && kept.n < 102_000, JSON.stringify(kept));
    assert.equal(kept.high - kept.low + 1, kept.n);
  });
});

import assert from 'node:assert/strict';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder, until } from '../lifecycle/temporaryHome.ts';
import { type CallFixture, type HistoryWorld, openHistoryWorld, recordsOf } from './historyWorld.ts';

describe('.history and .sessions', () => {
  let world: HistoryWorld;
  const home = temporaryFolder(() => world.close());
  beforeEach(async () => {
    world = await openHistoryWorld(home.path);
  });

  const at = (...names: string[]) => join(home.path, ...names);
  const read = (...names: string[]) => readFileSync(at(...names), 'utf8');
  const json = (...names: string[]) => JSON.parse(read(...names));
  async function call(fixture: CallFixture = {}): Promise<string> {
    const { invocation_id, records } = recordsOf(fixture);
    await world.store.writeRecords(records);
    return invocation_id;
  }
  async function folderOf(invocation_id: string): Promise<string> {
    const { history_dir } = await world.store.getInvocation(invocation_id);
    assert.ok(history_dir !== null, 'the call has a folder');
    return history_dir;
  }

  it('has a folder for each call, whose first line is the call as the store has it', async () => {
    const started_at = Date.parse('2026-11-21T14:23:45.123Z');
    const id = await call({
      started_at,
      arguments: { path: '.' },
      result: '{"content":[{"type":"text","text":"ok"}]}',
    });
    await world.history.flush();
    assert.equal(await folderOf(id), '2026-11-21_14-23-45_123000_git__status');
    const text = read('.history', '2026-11-21_14-23-45_123000_git__status', 'record.jsonl');
    assert.ok(text.endsWith('\n'));
    assert.deepEqual(JSON.parse(text), await world.store.getInvocation(id));
    assert.deepEqual(JSON.parse(text).arguments, { path: '.' });
  });

  it('has a folder for each session, with what the store has of it and links to its calls', async () => {
    const ids = [await call(), await call({ tool: 'log' })];
    await world.history.flush();
    assert.deepEqual(json('.sessions', 'debug-auth', 'metadata.json'), await world.store.getSession('debug-auth'));
    assert.equal(read('.sessions', 'debug-auth', 'conversation.jsonl'), '');
    const { items } = await world.store.listInvocations({ session_id: 'debug-auth', limit: 10 });
    assert.deepEqual(json('.sessions', 'debug-auth', 'invocations.json'), items.toReversed());
    for (const id of ids) {
      const link = at('.sessions', 'debug-auth', 'invocations', id);
      assert.equal(readlinkSync(link), `../../../.history/${await folderOf(id)}`);
      assert.equal(json('.sessions', 'debug-auth', 'invocations', id, 'record.jsonl').invocation_id, id);
    }
  });

  it('is private', async () => {
    const id = await call({ result: JSON.stringify({ text: 'x'.repeat(300_000) }) });
    const umask = process.umask(0);
    await world.history.flush().finally(() => process.umask(umask));
    const modes = new Map<string, number>();
    for (const root of ['.history', '.sessions']) {
      modes.set(root, lstatSync(at(root)).mode & 0o777);
      for (const name of readdirSync(at(root), { recursive: true, encoding: 'utf8' })) {
        const stats = lstatSync(at(root, name));
        if (!stats.isSymbolicLink()) modes.set(`${root}/${name}`, stats.mode & 0o777);
      }
    }
    assert.equal(modes.get(`.history/${await folderOf(id)}/result.json`), 0o600);
    assert.equal(modes.get('.sessions/debug-auth/invocations'), 0o700);
    assert.deepEqual([...new Set(modes.values())].toSorted(), [0o600, 0o700].toSorted());
  });

  it('is written soon after a nudge', async () => {
    world.history.start();
    const id = await call();
    world.history.nudge();
    await until('the folder', async () => (await world.store.getInvocation(id)).history_dir);
    await until('the link', () => existsSync(at('.sessions', 'debug-auth', 'invocations', id, 'record.jsonl')));
    const second = await call();
    world.history.nudge();
    await until('the summary', () =>
      json('.sessions', 'debug-auth', 'invocations.json').some(
        (entry: { invocation_id: string; history_dir: string | null }) =>
          entry.invocation_id === second && entry.history_dir !== null,
      ),
    );
  });

  it('stays in its place whatever a tool is called', async () => {
    const tools = ['../../x', '__proto__', '🎉🎉', 'x'.repeat(3000), '/etc/passwd', 'a\u202eb\n', '..', 'nul'];
    const ids = [];
    for (const tool of tools) ids.push(await call({ tool, server: 'srv' }));
    await world.history.flush();
    for (const [index, id] of ids.entries()) {
      const folder = realpathSync(at('.history', await folderOf(id)));
      assert.equal(join(folder, '..'), realpathSync(at('.history')));
      assert.equal(json('.history', await folderOf(id), 'record.jsonl').tool, tools[index]);
    }
    assert.equal(readdirSync(at('.history')).length, tools.length);
  });

  it('tells calls of one tool in one millisecond apart', async () => {
    const started_at = Date.parse('2026-11-21T14:23:45.123Z');
    const ids = [];
    for (let index = 0; index < 5; index++) ids.push(await call({ started_at }));
    await world.history.flush();
    const folders = await Promise.all(ids.map(folderOf));
    assert.deepEqual(folders.toSorted()[4], '2026-11-21_14-23-45_123004_git__status');
    for (const [index, id] of ids.entries())
      assert.equal(json('.history', folders[index] ?? '', 'record.jsonl').invocation_id, id);
  });

  it('keeps big parts in files beside the record', async () => {
    const result = { content: [{ type: 'text', text: 'é'.repeat(200_000) }] };
    const id = await call({ arguments: { text: 'small' }, result: JSON.stringify(result) });
    await world.history.flush();
    const folder = await folderOf(id);
    assert.deepEqual(json('.history', folder, 'result.json'), result);
    const record = json('.history', folder, 'record.jsonl');
    assert.deepEqual(record.result, {
      $file: 'result.json',
      bytes: statSync(at('.history', folder, 'result.json')).size,
    });
    assert.deepEqual(record.arguments, { text: 'small' });
    assert.ok(!existsSync(at('.history', folder, 'arguments.json')));
  });

  it('takes JSON of any depth', async () => {
    const depth = 50_000;
    const id = await call({ result: `${'['.repeat(depth)}${']'.repeat(depth)}` });
    await world.history.flush();
    const { items } = await world.store.listInvocations({ limit: 1 });
    const folder = items[0]?.history_dir ?? '';
    assert.ok(read('.history', folder, 'record.jsonl').startsWith(`{"invocation_id":"${id}"`));
  });

  it('moves the link of a call that is put into another session', async () => {
    const id = await call({ session_id: 'first' });
    const other = await call({ session_id: 'first' });
    await world.history.flush();
    await world.store.createSession({ session_id: 'second' });
    await world.store.linkInvocation(id, 'second');
    await world.history.flush();
    assert.deepEqual(readdirSync(at('.sessions', 'first', 'invocations')), [other]);
    assert.deepEqual(readdirSync(at('.sessions', 'second', 'invocations')), [id]);
    assert.equal(json('.sessions', 'second', 'invocations', id, 'record.jsonl').session_id, 'second');
    assert.equal(json('.sessions', 'first', 'invocations.json').length, 1);
    assert.equal(readdirSync(at('.history')).length, 2);
  });

  it('takes a call in no session, and a session without calls', async () => {
    const id = await call({ session_id: null });
    await world.store.createSession({ session_id: 'empty', title: 'Empty' });
    await world.history.flush();
    assert.ok(existsSync(at('.history', await folderOf(id), 'record.jsonl')));
    assert.deepEqual(readdirSync(at('.sessions')), ['empty']);
    assert.deepEqual(json('.sessions', 'empty', 'invocations.json'), []);
    assert.equal(json('.sessions', 'empty', 'metadata.json').title, 'Empty');
  });

  it('writes a corrected call again in the same folder', async () => {
    const { invocation_id, records } = recordsOf({ result: '{"content":[]}' });
    await world.store.writeRecords(records.slice(0, 1));
    await world.store.interruptRunning({ owner: 'owner-1' });
    await world.history.flush();
    const folder = await folderOf(invocation_id);
    assert.equal(json('.history', folder, 'record.jsonl').status, 'interrupted');
    await world.store.writeRecords(records.slice(1));
    await world.history.flush();
    assert.equal(await folderOf(invocation_id), folder);
    assert.equal(json('.history', folder, 'record.jsonl').status, 'completed');
    assert.deepEqual(readdirSync(at('.history', folder)), ['record.jsonl']);
  });

  it('finishes a folder that was left without a record, and follows no link out of the home', async () => {
    const started_at = Date.parse('2026-11-21T14:23:45.123Z');
    const outside = at('outside');
    mkdirSync(outside);
    mkdirSync(at('.history'));
    symlinkSync(outside, at('.history', '2026-11-21_14-23-45_123000_git__status'));
    mkdirSync(at('.history', '2026-11-21_14-23-45_123001_git__status'));
    writeFileSync(at('.history', '2026-11-21_14-23-45_123001_git__status', 'result.json'), 'half');
    mkdirSync(at('.sessions'));
    symlinkSync(outside, at('.sessions', 'debug-auth'));
    const id = await call({ started_at });
    await world.history.flush();
    const folder = await folderOf(id);
    assert.equal(folder, '2026-11-21_14-23-45_123001_git__status');
    assert.deepEqual(readdirSync(at('.history', folder)), ['record.jsonl']);
    assert.deepEqual(readdirSync(outside), []);
    assert.ok(existsSync(at('.sessions', 'debug-auth~2', 'invocations', id, 'record.jsonl')));
  });

  it('keeps sessions apart whose names the file system takes for one', async () => {
    mkdirSync(at('.sessions', 'abc'), { recursive: true });
    writeFileSync(at('.sessions', 'abc', 'metadata.json'), '{\n  "session_id": "ABC"\n}\n');
    await call({ session_id: 'abc' });
    await world.history.flush();
    assert.equal(json('.sessions', 'abc', 'metadata.json').session_id, 'ABC');
    assert.equal(json('.sessions', 'abc~2', 'metadata.json').session_id, 'abc');
  });

  it('has every call of a long session once flushed', async () => {
    const records = Array.from({ length: 600 }, () => recordsOf({}).records).flat();
    await world.store.writeRecords(records);
    await world.history.flush();
    const summaries = json('.sessions', 'debug-auth', 'invocations.json');
    assert.equal(summaries.length, 600);
    assert.ok(summaries.every((entry: { history_dir: string | null }) => entry.history_dir !== null));
    assert.equal(readdirSync(at('.sessions', 'debug-auth', 'invocations')).length, 600);
  });

  it('comes back when it was deleted', async () => {
    await call();
    await world.history.flush();
    rmSync(at('.history'), { recursive: true });
    rmSync(at('.sessions'), { recursive: true });
    const id = await call();
    await world.history.flush();
    assert.equal(json('.sessions', 'debug-auth', 'invocations', id, 'record.jsonl').invocation_id, id);
    assert.equal(json('.sessions', 'debug-auth', 'invocations.json').length, 2);
  });
});

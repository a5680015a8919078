import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DaemonLink } from '../../daemon/ipc/daemonLink.ts';
import { ownerId } from '../../daemon/ipc/owner.ts';
import { type RecordServer, type RecordServerOptions, serveRecords } from '../../daemon/ipc/recordServer.ts';
import { SocketRecorder } from '../../daemon/ipc/socketRecorder.ts';
import { replaySpool } from '../../daemon/ipc/spoolReplay.ts';
import { DaemonError } from '../../shared/errors.ts';
import { callEnd, callStart, keepingLog, redact, request, silent, until, withFolder } from './fixtures/calls.ts';
import { RecordingStore } from './fixtures/recordingStore.ts';

type Options = Partial<Omit<RecordServerOptions, 'store'>> & { store?: RecordingStore };

function serve(folder: string, options: Options = {}): Promise<RecordServer> {
  const store = options.store ?? new RecordingStore();
  return serveRecords({
    socketPath: join(folder, 'd.sock'),
    token: 'token',
    instance_id: 'i1',
    version: '1.0.0',
    durability: 'process',
    ownTools: async () => null,
    log: silent,
    ...options,
    store: Object.assign(store, {
      useExplicit: async (session_id: string) => {
        throw new DaemonError('not_found', `no session ${session_id}`);
      },
    }),
  });
}

interface Joined {
  readonly owner: string;
  readonly link: DaemonLink;
  readonly recorder: SocketRecorder;
  readonly started: () => number;
}

function attach(
  folder: string,
  options: { token?: string; durability?: 'process' | 'power'; log?: typeof silent } = {},
): Joined {
  const owner = ownerId();
  const { token = 'token', durability = 'process', log = silent } = options;
  let started = 0;
  const link = new DaemonLink({
    owner,
    locate: () => ({ socketPath: join(folder, 'd.sock'), token }),
    startDaemon: () => {
      started++;
    },
    log,
  });
  const spoolDir = join(folder, 'spool');
  const recorder = new SocketRecorder({ link, owner, spoolDir, durability, redact, log });
  return { owner, link, recorder, started: () => started };
}

const spooled = (folder: string) => (readdirSync(folder).includes('spool') ? readdirSync(join(folder, 'spool')) : []);

describe('the record socket', () => {
  it('takes records in order, with their messages as they were, in few batches', () =>
    withFolder(async folder => {
      const store = new RecordingStore();
      const server = await serve(folder, { store });
      const { recorder, owner } = attach(folder);
      await until('the link is open', () => recorder.state.connected);
      const big = Buffer.alloc(3_000_000, 'x');
      for (let n = 0; n < 500; n++) {
        // the first ones find room in the kernel's buffer, so that nobody waits for anything
        const started = recorder.start(callStart(`i${n}`, owner, n), request(`é${n}`));
        const ended = recorder.end(callEnd(`i${n}`), n === 7 ? big : n === 8 ? null : request('done'));
        if (n < 5) assert.deepEqual([started, ended], [undefined, undefined]);
        await Promise.all([started, ended]);
      }
      await until('all is acknowledged', () => recorder.state.queued === 0);
      assert.deepEqual(store.names, Array.from({ length: 500 }, (_, n) => [`start:i${n}`, `end:i${n}`]).flat());
      assert.deepEqual(store.records[2], { kind: 'start', start: callStart('i1', owner, 1), message: request('é1') });
      assert.deepEqual(store.records[15], { kind: 'end', end: callEnd('i7'), message: big });
      assert.deepEqual(store.records[17], { kind: 'end', end: callEnd('i8'), message: null });
      assert.ok(store.batches.length < 60, `${store.batches.length} batches`);
      assert.equal(statSync(join(folder, 'd.sock')).mode & 0o777, 0o600);
      assert.deepEqual(server.owners(), [owner]);
      await recorder.close();
      await server.close();
      assert.deepEqual(spooled(folder), []);
    }));

  it('spools redacted while the daemon is away, and hands over in order when it is back', () =>
    withFolder(async folder => {
      const { recorder, owner, started } = attach(folder);
      void recorder.start(callStart('a', owner), request('secret-abc'));
      void recorder.end(callEnd('a', 'bad secret-def'), null);
      await until('it is spooled', () => recorder.state.queued === 0);
      assert.equal(started(), 1);
      const path = join(folder, 'spool', `${owner}.spool`);
      const text = readFileSync(path, 'latin1');
      assert.ok(!text.includes('secret-') && text.includes('redacted:test'));
      assert.equal(statSync(path).mode & 0o777, 0o600);
      void recorder.start(callStart('b', owner), request('b'));
      const store = new RecordingStore();
      const server = await serve(folder, { store });
      void recorder.end(callEnd('b'), request('b'));
      await until('all is acknowledged', () => recorder.state.queued === 0 && !recorder.state.spooled);
      assert.deepEqual(store.names, ['start:a', 'end:a', 'start:b', 'end:b']);
      await until('the spool is removed', () => spooled(folder).length === 0);
      await recorder.close();
      await server.close();
    }));

  it('drains a large spool while new calls come, each once and in order', () =>
    withFolder(async folder => {
      const { recorder, owner } = attach(folder);
      const names: string[] = [];
      const call = (n: number) => {
        void recorder.start(callStart(`i${n}`, owner), request('x'.repeat(20_000)));
        void recorder.end(callEnd(`i${n}`), request('y'.repeat(20_000)));
        names.push(`start:i${n}`, `end:i${n}`);
      };
      for (let n = 0; n < 300; n++) call(n);
      await until('it is spooled', () => recorder.state.queued === 0);
      const store = new RecordingStore();
      const server = await serve(folder, { store });
      for (let n = 300; n < 400; n++) {
        call(n);
        await new Promise(resolve => setTimeout(resolve, 2));
      }
      await until('all is acknowledged', () => recorder.state.queued === 0 && !recorder.state.spooled);
      assert.deepEqual(store.names, names);
      await recorder.close();
      await server.close();
    }));

  it('loses nothing when a process closes without a daemon: the next one replays it and removes the file', () =>
    withFolder(async folder => {
      const { recorder, owner } = attach(folder);
      void recorder.start(callStart('a', owner), request('secret-abc'));
      await recorder.close();
      assert.deepEqual(spooled(folder), [`${owner}.spool`]);
      const store = new RecordingStore();
      const options = { aliveOwners: [owner], log: silent };
      await replaySpool(join(folder, 'spool'), store, options);
      assert.deepEqual(store.names, [], 'an owner on the socket sends its spool itself');
    }));

  for (const side of ['daemon', 'stdio process'] as const)
    it(`refuses a ${side} that does not know the token, and hands it no record`, () =>
      withFolder(async folder => {
        const store = new RecordingStore();
        const log = keepingLog();
        const server = await serve(folder, { store, token: side === 'daemon' ? 'guessed' : 'token' });
        const { recorder, owner } = attach(folder, { token: side === 'daemon' ? 'token' : 'guessed', log });
        void recorder.start(callStart('a', owner), request('a'));
        await until('it is refused', () => log.lines.some(line => /does not know the token/.test(line)));
        await until('the record is spooled', () => recorder.state.spooled);
        assert.equal(recorder.state.connected, false);
        assert.deepEqual(store.records, []);
        assert.deepEqual(server.owners(), []);
        await recorder.close();
        await server.close();
      }));

  it('waits for the commit with durability power, and only then', () =>
    withFolder(async folder => {
      const store = new RecordingStore();
      let release = () => {};
      store.beforeCommit = () =>
        new Promise(resolve => {
          release = resolve;
        });
      const server = await serve(folder, { store, durability: 'power' });
      const { recorder, owner } = attach(folder);
      await until('the link is open', () => recorder.state.connected);
      let told = false;
      const ended = recorder.start(callStart('a', owner), request('a'))?.then(() => {
        told = true;
      });
      assert.ok(ended);
      const held = release;
      await until('the store is asked', () => release !== held);
      assert.equal(told, false);
      release();
      await ended;
      assert.deepEqual(store.names, ['start:a']);
      await recorder.close();
      await server.close();
    }));

  it('with durability power and no daemon waits until the record is in the spool', () =>
    withFolder(async folder => {
      const { recorder, owner } = attach(folder, { durability: 'power' });
      await recorder.start(callStart('a', owner), request('a'));
      assert.equal(recorder.state.spooled, true);
      await recorder.close();
    }));

  it('answers questions, with the errors of the daemon, and passes own tools on', () =>
    withFolder(async folder => {
      const seen: unknown[] = [];
      const server = await serve(folder, {
        ownTools: async (message, caller) => {
          seen.push(JSON.parse(Buffer.from(message).toString()), caller);
          return seen.length > 2 ? null : Buffer.from('{"jsonrpc":"2.0","id":7,"result":{}}');
        },
      });
      const { recorder, link } = attach(folder);
      const caller = { client: 'test', workspace: null };
      const conversation = { client: 'test', conversation_id: 'c' };
      assert.deepEqual(await link.resolveConversation(conversation, 'p', caller), { session_id: 'c-p', bound: true });
      await assert.rejects(link.useExplicit('s9', caller), { code: 'not_found', message: 'no session s9' });
      const message = { jsonrpc: '2.0', id: 7, method: 'tools/call' };
      const answer = await link.ownTools(Buffer.from(JSON.stringify(message)), { ...caller, conversation });
      assert.equal(Buffer.from(answer ?? []).toString(), '{"jsonrpc":"2.0","id":7,"result":{}}');
      assert.deepEqual(seen, [message, { ...caller, conversation }]);
      assert.equal(await link.ownTools(Buffer.from('{}'), { ...caller, conversation: null }), null);
      await recorder.close();
      await assert.rejects(link.useExplicit('s9', caller), { code: 'unavailable' });
      await server.close();
    }));

  it('tells which conversation moved, and after a break which answers may be out of date', () =>
    withFolder(async folder => {
      const store = new RecordingStore();
      const server = await serve(folder, { store });
      const { recorder, link, started } = attach(folder);
      const changes: unknown[] = [];
      link.onChanged(change => changes.push(change));
      const conversation = { client: 'test', conversation_id: 'c' };
      await link.resolveConversation(conversation, 'p', { client: null, workspace: null });
      store.emit({ type: 'conversation.moved', seq: 1, at: '', session_id: 's', ...conversation });
      await until('the change arrives', () => changes.length === 1);
      await server.close();
      await until('the link is down', () => !link.open);
      const next = await serve(folder, { store });
      await until('the link is open', () => link.open);
      assert.deepEqual(changes, [{ conversation }, { session_id: 'c-p' }]);
      assert.equal(started(), 0, 'a daemon that said goodbye is not started again for nothing');
      await recorder.close();
      await next.close();
    }));

  it('passes over a record that the store refuses for good, and keeps the others', () =>
    withFolder(async folder => {
      const store = new RecordingStore();
      const write = store.writeRecords.bind(store);
      store.writeRecords = async records => {
        if (records.some(record => record.kind === 'start' && record.start.invocation_id === 'bad'))
          throw new DaemonError('invalid_input', 'no');
        await write(records);
      };
      const server = await serve(folder, { store });
      const { recorder, owner } = attach(folder);
      for (const id of ['a', 'bad', 'b']) void recorder.start(callStart(id, owner), request(id));
      await until('all is acknowledged', () => recorder.state.queued === 0 && !recorder.state.spooled);
      assert.deepEqual(store.names, ['start:a', 'start:b']);
      await recorder.close();
      await server.close();
    }));

  it('is not put over a file that is no socket', () =>
    withFolder(async folder => {
      writeFileSync(join(folder, 'd.sock'), 'mine');
      await assert.rejects(serve(folder), { code: 'insecure_home' });
      assert.equal(readFileSync(join(folder, 'd.sock'), 'utf8'), 'mine');
    }));
});

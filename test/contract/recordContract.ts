import assert from 'node:assert/strict';
import { v7 } from 'uuid';
import { invocationDetail } from '../../shared/invocation.ts';
import { bytes, end, start } from './callRecords.ts';
import type { OpenStore } from './storeContract.ts';

const conversation = { client: 'claude-code', conversation_id: 'c1' };

/** Calls: how they are written, counted, ended and moved. */
export function describeRecords(open: OpenStore): void {
  describe('records', () => {
    it('keeps a call with all that its messages held', async () => {
      const store = await open();
      const call = start(
        { session_id: 's', attribution: 'explicit', conversation },
        { name: 'read', arguments: { path: '/x', n: [1, null] }, _meta: { progressToken: 3 } },
      );
      await store.writeRecords([call, end(call, {}, { result: { content: [{ type: 'text', text: 'hi 👋' }] } })]);
      const detail = await store.getInvocation(call.start.invocation_id);
      assert.deepEqual(invocationDetail.parse(detail), detail);
      const { arguments: args, meta, result, error, ...rest } = detail;
      assert.deepEqual(
        { args, meta, error },
        { args: { path: '/x', n: [1, null] }, meta: { progressToken: 3 }, error: null },
      );
      assert.deepEqual(result, { content: [{ type: 'text', text: 'hi 👋' }] });
      assert.deepEqual(rest, {
        invocation_id: call.start.invocation_id,
        session_id: 's',
        attribution: 'explicit',
        conversation_id: 'c1',
        client: 'claude-code',
        client_version: '2.1.0',
        workspace: null,
        server: 'files',
        tool: 'read',
        status: 'completed',
        started_at: new Date(call.start.started_at).toISOString(),
        ended_at: new Date(call.start.started_at + 5).toISOString(),
        duration_ms: 5,
        arguments_bytes: 26,
        result_bytes: 46,
        error_message: null,
        redacted: false,
        history_dir: null,
      });
    });

    it('tells of a start and its end in one batch by one event, else by two', async () => {
      const store = await open();
      const [one, two] = [start(), start()];
      await store.writeRecords([one, end(one), two]);
      await store.writeRecords([end(two)]);
      const { events } = await store.listEvents(0, 10);
      assert.deepEqual(
        events.map(event => [event.type, 'invocation' in event && event.invocation.invocation_id]),
        [
          ['invocation.ended', one.start.invocation_id],
          ['invocation.started', two.start.invocation_id],
          ['invocation.ended', two.start.invocation_id],
        ],
      );
    });

    it('counts calls in their session, once each', async () => {
      const store = await open();
      const calls = ['completed', 'failed', 'cancelled', 'timed_out'] as const;
      const records = calls.flatMap((status, i) => {
        const call = start({ session_id: 's', tool: `t${i % 2}`, started_at: 1_800_000_000_000 + i });
        return [call, end(call, { status, duration_ms: 2.5 })];
      });
      const open_ = start({ session_id: 's' });
      await store.writeRecords([...records, open_]);
      await store.writeRecords(records);
      await store.writeRecords([...records, open_]);
      const session = await store.getSession('s');
      assert.deepEqual(
        [session.total_invocations, session.failed_invocations, session.total_duration_ms, session.tools_used],
        [5, 2, 10, ['files__t0', 'files__t1', 'files__read']],
      );
      assert.equal((await store.listInvocations({ limit: 50 })).items.length, 5);
      assert.deepEqual(await store.counts(), { sessions: 1, invocations: 5, running: 1 });
    });

    it('does not count calls as edits of the session', async () => {
      const store = await open();
      const { session_id, version } = await store.createSession({ status: 'active' });
      await store.writeRecords([start({ session_id })]);
      assert.equal((await store.getSession(session_id)).version, version);
    });

    it('ignores an end that has no start, and a second end', async () => {
      const store = await open();
      const call = start();
      await store.writeRecords([end(start()), call, end(call), end(call, { status: 'failed' })]);
      await store.writeRecords([end(call, { status: 'failed' })]);
      assert.equal((await store.getInvocation(call.start.invocation_id)).status, 'completed');
      assert.equal((await store.counts()).invocations, 1);
    });

    for (const status of ['created', 'suspended', 'abandoned'] as const)
      it(`makes a session that is ${status} active when a call arrives`, async () => {
        const store = await open();
        const { session_id } = await store.createSession({ status });
        await store.writeRecords([start({ session_id })]);
        const session = await store.getSession(session_id);
        assert.deepEqual([session.status, session.ended_at], ['active', null]);
      });

    it('keeps a call of a completed session there, and does not reopen it', async () => {
      const store = await open();
      const { session_id } = await store.createSession({ status: 'completed' });
      await store.writeRecords([start({ session_id })]);
      const session = await store.getSession(session_id);
      assert.deepEqual([session.status, session.total_invocations], ['completed', 1]);
    });

    it('makes a provisional session when the conversation has none', async () => {
      const store = await open();
      const call = start({ session_id: 'mine', provisional: true, conversation, workspace: '/w' });
      await store.writeRecords([call, end(call)]);
      const { session_id, attribution } = await store.getInvocation(call.start.invocation_id);
      assert.deepEqual([session_id, attribution], ['mine', 'meta']);
      assert.equal(
        (await store.resolveConversation(conversation, 'x', { client: null, workspace: null })).session_id,
        'mine',
      );
    });

    it('puts a call with a provisional session into the one its conversation has, and tells the gateways', async () => {
      const store = await open();
      await store.createSession({ session_id: 'theirs' });
      await store.bindConversation(conversation, 'theirs');
      const call = start({ session_id: 'provisional', provisional: true, conversation });
      await store.writeRecords([call]);
      const { session_id, attribution } = await store.getInvocation(call.start.invocation_id);
      assert.deepEqual([session_id, attribution], ['theirs', 'binding']);
      await assert.rejects(store.getSession('provisional'), { code: 'not_found' });
      const { events } = await store.listEvents(0, 50);
      const moved = events.filter(({ type }) => type === 'conversation.moved').at(-1);
      assert.equal(moved?.session_id, 'theirs');
    });

    it('brings about one session when two processes propose one each for a conversation', async () => {
      const store = await open();
      const calls = ['p1', 'p2'].map(session_id => start({ session_id, provisional: true, conversation }));
      await Promise.all(calls.map(call => store.writeRecords([call])));
      const { items } = await store.listInvocations({ limit: 10 });
      assert.deepEqual(
        items.map(({ session_id }) => session_id),
        ['p1', 'p1'],
      );
      assert.equal((await store.counts()).sessions, 1);
    });

    it('does not make a successor for a call that it has already', async () => {
      const store = await open();
      const call = start({ session_id: 'mine', provisional: true, conversation });
      await store.writeRecords([call]);
      await store.updateSession('mine', { status: 'completed' });
      await store.writeRecords([call, end(call)]);
      assert.equal((await store.counts()).sessions, 1);
      const again = start({ session_id: 'mine', provisional: true, conversation });
      await store.writeRecords([again]);
      const { session_id } = await store.getInvocation(again.start.invocation_id);
      assert.ok(session_id);
      assert.equal((await store.getSession(session_id)).parent_session_id, 'mine');
    });

    it('ends what an owner left running, and takes the real end when it still comes', async () => {
      const store = await open();
      const [mine, other] = [start({ session_id: 's', owner: 'a' }), start({ session_id: 's', owner: 'b' })];
      await store.writeRecords([mine, other]);
      assert.equal(await store.interruptRunning({ owner: 'a' }), 1);
      assert.equal(await store.interruptRunning({ alive: ['b'] }), 0);
      const cut = await store.getInvocation(mine.start.invocation_id);
      assert.deepEqual([cut.status, cut.error_message !== null], ['interrupted', true]);
      assert.equal((await store.getSession('s')).failed_invocations, 1);
      await store.markHistory([{ invocation_id: mine.start.invocation_id, history_dir: 'd' }]);
      await store.writeRecords([end(mine)]);
      const ended = await store.getInvocation(mine.start.invocation_id);
      assert.deepEqual([ended.status, ended.error_message, ended.history_dir], ['completed', null, null]);
      const session = await store.getSession('s');
      assert.deepEqual([session.failed_invocations, session.total_duration_ms], [0, 5]);
      assert.equal(await store.interruptRunning({ alive: [] }), 1);
    });

    it('moves a call to another session with all that it counts for', async () => {
      const store = await open();
      const [one, two] = [start({ session_id: 'a' }), start({ session_id: 'a', tool: 'write' })];
      await store.writeRecords([one, end(one, { status: 'failed' }), two]);
      await store.createSession({ session_id: 'b' });
      const linked = await store.linkInvocation(one.start.invocation_id, 'b');
      assert.deepEqual([linked.session_id, linked.attribution], ['b', 'explicit']);
      const counted = async (id: string) => {
        const { total_invocations, failed_invocations, total_duration_ms, tools_used } = await store.getSession(id);
        return [total_invocations, failed_invocations, total_duration_ms, tools_used];
      };
      assert.deepEqual(await counted('a'), [1, 0, 0, ['files__write']]);
      assert.deepEqual(await counted('b'), [1, 1, 5, ['files__read']]);
      await store.linkInvocation(one.start.invocation_id, 'b');
      assert.deepEqual(await counted('b'), [1, 1, 5, ['files__read']]);
      await assert.rejects(store.linkInvocation(v7(), 'b'), { code: 'not_found' });
      await assert.rejects(store.linkInvocation(one.start.invocation_id, 'c'), { code: 'not_found', message: /"c"/ });
    });

    it('refuses what can not be stored without losing what other callers gave', async () => {
      const store = await open();
      const [good, better] = [start(), start()];
      const written = Promise.allSettled([
        store.writeRecords([start()]),
        store.writeRecords([good]),
        store.writeRecords([start({ invocation_id: 'no-uuid' })]),
        store.writeRecords([start({ started_at: Number.NaN })]),
        store.writeRecords([start({ session_id: '../x' })]),
        store.writeRecords([better]),
      ]);
      const results = (await written).map(result => (result.status === 'fulfilled' ? 'ok' : result.reason.code));
      assert.deepEqual(results, ['ok', 'ok', 'invalid_input', 'invalid_input', 'invalid_input', 'ok']);
      assert.equal((await store.counts()).invocations, 3);
    });

    it('goes on after a caller gave records that can not be passed on', async () => {
      const store = await open();
      const broken = start();
      structuredClone(broken.message, { transfer: [broken.message.buffer] });
      const good = start();
      const [refused] = await Promise.allSettled([store.writeRecords([broken]), store.writeRecords([good])]);
      assert.equal(refused?.status, 'rejected');
      assert.equal((await store.getInvocation(good.start.invocation_id)).status, 'running');
    });

    for (const [when, started_at] of [
      ['one millisecond', 1_800_000_000_000],
      ['a time past 2109', 2 ** 43],
    ] as const)
      it(`takes 5000 calls of ${when} quickly, and lists them as they came`, async () => {
        const store = await open();
        const calls = Array.from({ length: 5000 }, () => start({ started_at }));
        for (let i = 0; i < calls.length; i += 500) await store.writeRecords(calls.slice(i, i + 500));
        assert.equal((await store.counts()).invocations, 5000);
        const { items } = await store.listInvocations({ limit: 3000 });
        assert.deepEqual(
          items.map(({ invocation_id }) => invocation_id),
          calls
            .slice(2000)
            .map(call => call.start.invocation_id)
            .reverse(),
        );
      });

    it('says of a call from a spool that secrets were taken out of it before', async () => {
      const store = await open();
      const [plain, withArguments, withError] = [
        start(),
        start({}, { arguments: { password: '[redacted:member]' } }),
        start(),
      ];
      await store.writeRecords([plain, withArguments, withError]);
      const error_message = 'Authorization: Bearer [redacted:authorization]';
      await store.writeRecords([end(plain), end(withArguments), end(withError, { status: 'failed', error_message })]);
      const redacted = [plain, withArguments, withError].map(
        async call => (await store.getInvocation(call.start.invocation_id)).redacted,
      );
      assert.deepEqual(await Promise.all(redacted), [false, true, true]);
    });

    it('keeps the error of an answer that has a result of null beside it', async () => {
      const store = await open();
      const call = start();
      await store.writeRecords([call, end(call, { status: 'failed' }, { result: null, error: { code: 7 } })]);
      const { result, error } = await store.getInvocation(call.start.invocation_id);
      assert.deepEqual([result, error], [null, { code: 7 }]);
    });

    it('keeps odd messages: no JSON, no object, 50,000 levels, lone surrogates, big numbers', async () => {
      const store = await open();
      const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`;
      const texts = {
        garbage: '{"params": nonsense',
        number: '17',
        deep: `{"params":{"arguments":${deep}}}`,
        lone: '{"params":{"arguments":"\\ud83d"}}',
        big: '{"params":{"arguments":12345678901234567890,"_meta":{"__proto__":1}}}',
        twice: '{"params":{"arguments":1},"params":{"arguments":2}}',
      };
      const ids = Object.fromEntries(Object.keys(texts).map(name => [name, v7()]));
      for (const [name, text] of Object.entries(texts))
        await store.writeRecords([{ ...start({ invocation_id: ids[name] ?? '' }), message: bytes(text) }]);
      const args = async (name: string) => (await store.getInvocation(ids[name] ?? '')).arguments;
      assert.equal(await args('garbage'), texts.garbage);
      assert.equal(await args('number'), '17');
      assert.equal(await args('deep'), deep);
      assert.equal(await args('lone'), '\ud83d');
      assert.equal(await args('big'), 12345678901234567000);
      assert.equal(await args('twice'), 2);
    });
  });
}

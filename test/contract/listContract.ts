import assert from 'node:assert/strict';
import type { Store } from '../../daemon/store/store.ts';
import { end, start } from './callRecords.ts';
import type { OpenStore } from './storeContract.ts';

type SessionFilter = Partial<Parameters<Store['listSessions']>[0]>;
type CallFilter = Partial<Parameters<Store['listInvocations']>[0]>;

/** Lists: order, filters, paging. */
export function describeLists(open: OpenStore): void {
  describe('lists', () => {
    const titles = async (store: Store, filter: SessionFilter) =>
      (await store.listSessions({ limit: 50, ...filter })).items.map(({ title }) => title);

    async function filled() {
      let now = Date.UTC(2026, 10, 1);
      const store = await open(() => now++);
      await store.createSession({ title: 'one', tags: ['auth'], workspace: '/w', user_id: 'ann' });
      await store.createSession({
        title: 'two 100%',
        tags: ['auth', 'api'],
        workspace: '/w',
        agent_id: 'x',
        status: 'active',
      });
      await store.createSession({
        title: 'three',
        purpose: 'The API_key thing',
        tags: ['api'],
        client: 'codex',
        task_id: '7',
      });
      await store.createSession({ title: 'four' });
      return store;
    }

    it('shows the most recently active session first', async () => {
      const store = await filled();
      const { items } = await store.listSessions({ limit: 50 });
      assert.deepEqual(
        items.map(({ title }) => title),
        ['four', 'three', 'two 100%', 'one'],
      );
      await store.writeRecords([start({ session_id: items[3]?.session_id ?? '' })]);
      assert.equal((await titles(store, {}))[0], 'one');
      assert.deepEqual(await titles(store, { tags_all: ['auth'] }), ['one', 'two 100%']);
    });

    it('filters by each field, and by all together', async () => {
      const store = await filled();
      const expected: [SessionFilter, string[]][] = [
        [{ status: ['active'] }, ['two 100%']],
        [{ status: ['active', 'created'], workspace: '/w' }, ['two 100%', 'one']],
        [{ tags_all: ['auth', 'api'] }, ['two 100%']],
        [{ tags_any: ['auth'] }, ['two 100%', 'one']],
        [{ tags_any: ['auth', 'api'] }, ['three', 'two 100%', 'one']],
        [{ tags_all: ['api'], tags_any: ['auth', 'none'] }, ['two 100%']],
        [{ user_id: 'ann' }, ['one']],
        [{ agent_id: 'x', tags_all: ['auth'], text: 'TWO' }, ['two 100%']],
        [{ client: 'codex', task_id: '7' }, ['three']],
        [{ text: 'api_k thing' }, ['three']],
        [{ text: '0%' }, ['two 100%']],
        [{ text: '_' }, ['three']],
        [{ active_after: '2026-11-01T00:00:00.000Z', active_before: '2026-11-01T00:00:00.000Z' }, []],
      ];
      for (const [filter, found] of expected)
        assert.deepEqual(await titles(store, filter), found, JSON.stringify(filter));
    });

    it('pages through everything once, with the total on the first page', async () => {
      const store = await filled();
      for (const filter of [{}, { tags_any: ['auth', 'api'] }, { tags_all: ['auth'] }] satisfies SessionFilter[]) {
        const whole = await titles(store, filter);
        const seen: (string | null)[] = [];
        let cursor: string | undefined;
        do {
          const page = await store.listSessions({ limit: 1, ...filter, ...(cursor === undefined ? {} : { cursor }) });
          assert.equal(page.total, cursor === undefined ? whole.length : null);
          seen.push(...page.items.map(({ title }) => title));
          cursor = page.next_cursor ?? undefined;
        } while (cursor !== undefined);
        assert.deepEqual(seen, whole);
      }
    });

    it('refuses a cursor of another query, and one that is none', async () => {
      const store = await filled();
      const { next_cursor } = await store.listSessions({ limit: 1, tags_all: ['auth'] });
      assert.ok(next_cursor);
      const cursors: [SessionFilter, RegExp][] = [
        [{ cursor: next_cursor }, /other filters/],
        [{ cursor: next_cursor, tags_all: ['api'] }, /other filters/],
        [{ cursor: 'garbage' }, /not one that a list gave/],
        [{ cursor: Buffer.from('{"q":"x","k":[{}]}').toString('base64url') }, /not one that a list gave/],
      ];
      for (const [filter, message] of cursors)
        await assert.rejects(store.listSessions({ limit: 1, ...filter }), { code: 'invalid_input', message });
      await assert.rejects(store.listInvocations({ limit: 1, cursor: next_cursor }), { code: 'invalid_input' });
    });

    it('lists calls newest first by their start, whenever they were written', async () => {
      const store = await open();
      const t = Date.UTC(2026, 10, 1);
      const calls = [5, 1, 3, 3, 3].map((n, i) => start({ started_at: t + n, tool: `t${i}` }));
      for (const call of calls) await store.writeRecords([call]);
      const { items, total } = await store.listInvocations({ limit: 50 });
      assert.deepEqual([items.map(({ tool }) => tool), total], [['t0', 't4', 't3', 't2', 't1'], 5]);
    });

    it('filters calls, and pages through them', async () => {
      const store = await open();
      const t = Date.UTC(2026, 10, 1);
      for (let i = 0; i < 6; i++) {
        const call = start({
          session_id: i < 4 ? 'a' : null,
          server: i % 2 ? 'git' : 'files',
          tool: `t${i}`,
          client: i === 5 ? 'codex' : 'claude-code',
          workspace: '/w',
          started_at: t + i,
        });
        await store.writeRecords(i === 2 ? [call, end(call, { status: 'failed' })] : [call]);
      }
      const tools = async (filter: CallFilter) =>
        (await store.listInvocations({ limit: 50, ...filter })).items.map(({ tool }) => tool);
      assert.deepEqual(await tools({ session_id: 'a', server: 'git' }), ['t3', 't1']);
      assert.deepEqual(await tools({ status: ['failed'] }), ['t2']);
      assert.deepEqual(await tools({ client: 'codex', workspace: '/w' }), ['t5']);
      const [after, before] = [t + 1, t + 3].map(ms => new Date(ms).toISOString());
      assert.deepEqual(await tools({ started_after: after, started_before: before }), ['t2', 't1']);
      const first = await store.listInvocations({ limit: 3, session_id: 'a' });
      assert.deepEqual([first.items.length, first.total], [3, 4]);
      const rest = await store.listInvocations({ limit: 3, session_id: 'a', cursor: first.next_cursor ?? '' });
      assert.deepEqual([rest.items.map(({ tool }) => tool), rest.next_cursor], [['t0'], null]);
      await assert.rejects(store.listInvocations({ limit: 3, session_id: 'zzz' }), { code: 'not_found' });
    });
  });
}

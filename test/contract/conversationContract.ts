import assert from 'node:assert/strict';
import { at } from './callRecords.ts';
import type { OpenStore } from './storeContract.ts';

const conversation = { client: 'claude-code', conversation_id: 'c1' };
const context = { client: 'claude-code', workspace: '/w' };
const nowhere = { client: 'claude-code', workspace: null };

/** Which session a conversation or an explicit id means. */
export function describeConversations(open: OpenStore): void {
  describe('conversations', () => {
    it('gives a new conversation the proposed session, and the same one ever after', async () => {
      const store = await open();
      const first = await store.resolveConversation(conversation, 'proposed', context);
      assert.deepEqual(first, { session_id: 'proposed', bound: false });
      assert.deepEqual(await store.resolveConversation(conversation, 'other', context), first);
      const made = await store.getSession('proposed');
      assert.deepEqual([made.status, made.workspace, made.client], ['active', '/w', 'claude-code']);
      assert.equal((await store.counts()).sessions, 1);
    });

    it('puts new conversations into the active session of their workspace only', async () => {
      const store = await open();
      const { session_id } = await store.createSession({});
      await store.activateSession(session_id, '/w');
      assert.equal((await store.resolveConversation(conversation, 'p1', context)).session_id, session_id);
      assert.equal((await store.getSession(session_id)).status, 'active');
      const elsewhere = { ...conversation, conversation_id: 'c2' };
      assert.equal((await store.resolveConversation(elsewhere, 'p2', nowhere)).session_id, 'p2');
    });

    it('does not put a conversation into an active session that has expired', async () => {
      let now = Date.now();
      const store = await open(() => now);
      const { session_id } = await store.createSession({ expires_at: at(now + 1000) });
      await store.activateSession(session_id, '/w');
      now += 1000;
      assert.equal((await store.resolveConversation(conversation, 'p1', context)).session_id, 'p1');
    });

    for (const status of ['suspended', 'abandoned'] as const)
      it(`makes a session that is ${status} active again`, async () => {
        const store = await open();
        await store.resolveConversation(conversation, 'mine', context);
        await store.updateSession('mine', { status });
        assert.equal((await store.resolveConversation(conversation, 'other', context)).session_id, 'mine');
        const { status: after, ended_at } = await store.getSession('mine');
        assert.deepEqual([after, ended_at], ['active', null]);
      });

    for (const status of ['completed', 'failed'] as const)
      it(`gives a conversation whose session is ${status} a linked successor`, async () => {
        const store = await open();
        await store.resolveConversation(conversation, 'mine', context);
        await store.updateSession('mine', { status });
        assert.equal((await store.resolveConversation(conversation, 'next', nowhere)).session_id, 'next');
        const next = await store.getSession('next');
        assert.deepEqual([next.parent_session_id, next.workspace, next.status], ['mine', '/w', 'active']);
        assert.equal((await store.resolveConversation(conversation, 'third', context)).session_id, 'next');
      });

    it('gives a successor to an expired session, also when the proposed id is that session', async () => {
      let now = Date.now();
      const store = await open(() => now);
      await store.resolveConversation(conversation, 'mine', context);
      await store.updateSession('mine', { expires_at: at(now + 1000) });
      now += 1000;
      const { session_id } = await store.resolveConversation(conversation, 'mine', context);
      assert.notEqual(session_id, 'mine');
      assert.equal((await store.getSession(session_id)).parent_session_id, 'mine');
    });

    it('moves a conversation that is bound, and says that it was', async () => {
      const store = await open();
      await store.resolveConversation(conversation, 'mine', context);
      await store.createSession({ session_id: 'theirs' });
      await store.bindConversation(conversation, 'theirs');
      assert.deepEqual(await store.resolveConversation(conversation, 'x', context), {
        session_id: 'theirs',
        bound: true,
      });
      await store.updateSession('theirs', { status: 'completed' });
      await assert.rejects(store.bindConversation(conversation, 'theirs'), { code: 'session_ended' });
      await assert.rejects(store.bindConversation(conversation, 'gone'), { code: 'not_found' });
    });

    it('makes the session of an explicit id that nobody used before', async () => {
      const store = await open();
      const use = await store.useExplicit('debug-auth', context);
      assert.ok('session' in use);
      assert.deepEqual(
        [use.session.session_id, use.session.status, use.session.workspace],
        ['debug-auth', 'active', '/w'],
      );
    });

    it('refuses an explicit id that is malformed, ended or expired, and says what to do', async () => {
      let now = Date.now();
      const store = await open(() => now);
      await store.createSession({ session_id: 'done', status: 'completed' });
      await store.createSession({ session_id: 'lost', status: 'failed' });
      await store.createSession({ session_id: 'old', expires_at: at(now + 1) });
      now += 1;
      for (const [id, why] of [
        ['../x', /malformed/],
        ['done', /done is completed: .*sessions_update.*leave session_id out/],
        ['lost', /is failed/],
        ['old', /expired at/],
      ] as const) {
        const use = await store.useExplicit(id, context);
        assert.ok('refused' in use, id);
        assert.match(use.refused, why);
      }
      assert.equal((await store.counts()).sessions, 3);
    });

    it('makes an explicit session that is suspended active again', async () => {
      const store = await open();
      await store.createSession({ session_id: 'rest', status: 'suspended' });
      const use = await store.useExplicit('rest', context);
      assert.ok('session' in use);
      assert.equal(use.session.status, 'active');
    });
  });
}

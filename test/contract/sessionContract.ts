import assert from 'node:assert/strict';
import type { DaemonEvent } from '../../shared/events.ts';
import { type SessionStatus, session, transitions } from '../../shared/session.ts';
import type { OpenStore } from './storeContract.ts';

/** Sessions: making, editing, lifecycle, the active one of a workspace, events. */
export function describeSessions(open: OpenStore): void {
  describe('sessions', () => {
    it('makes a session with defaults, in the shape of the wire', async () => {
      const store = await open();
      const made = await store.createSession({
        title: 'Debug',
        tags: ['auth', 'auth'],
        state: { a: [1, { b: null }] },
      });
      assert.deepEqual(session.parse(made), made);
      assert.deepEqual(
        { title: made.title, status: made.status, tags: made.tags, user_id: made.user_id, version: made.version },
        { title: 'Debug', status: 'created', tags: ['auth'], user_id: 'tester', version: 1 },
      );
      assert.deepEqual(await store.getSession(made.session_id), made);
    });

    it('refuses an id that is taken, and a parent that is not there', async () => {
      const store = await open();
      await store.createSession({ session_id: 'mine' });
      await assert.rejects(store.createSession({ session_id: 'mine' }), { code: 'conflict', message: /mine/ });
      await assert.rejects(store.createSession({ parent_session_id: 'nobody' }), {
        code: 'not_found',
        message: /nobody/,
      });
      assert.equal((await store.counts()).sessions, 1);
    });

    it('says which session is not there', async () => {
      const store = await open();
      await assert.rejects(store.getSession('__proto__'), { code: 'not_found', message: /__proto__/ });
      await assert.rejects(store.updateSession('gone', { title: 'x' }), { code: 'not_found', message: /gone/ });
    });

    it('edits what is given and leaves the rest', async () => {
      const store = await open();
      const { session_id } = await store.createSession({ title: 'a', purpose: 'p', tags: ['x', 'y'] });
      const edited = await store.updateSession(session_id, { title: null, add_tags: ['z', 'x'], remove_tags: ['y'] });
      assert.deepEqual(
        { title: edited.title, purpose: edited.purpose, tags: edited.tags, version: edited.version },
        { title: null, purpose: 'p', tags: ['x', 'z'], version: 2 },
      );
      assert.deepEqual((await store.updateSession(session_id, { tags: ['only'] })).tags, ['only']);
    });

    it('leaves the version alone when an edit changes nothing', async () => {
      const store = await open();
      const made = await store.createSession({ title: 'a' });
      const before = (await store.listEvents(0, 10)).latest;
      assert.deepEqual(await store.updateSession(made.session_id, { title: 'a', status: 'created' }), made);
      assert.equal((await store.listEvents(0, 10)).latest, before);
    });

    it('refuses an edit of another version, and changes nothing', async () => {
      const store = await open();
      const { session_id } = await store.createSession({ title: 'a' });
      await store.updateSession(session_id, { title: 'b' }, 1);
      await assert.rejects(store.updateSession(session_id, { title: 'c' }, 1), {
        code: 'conflict',
        message: /version 2, not 1/,
      });
      assert.equal((await store.getSession(session_id)).title, 'b');
    });

    it('refuses more than 64 tags', async () => {
      const store = await open();
      const { session_id } = await store.createSession({ tags: Array.from({ length: 60 }, (_, i) => `t${i}`) });
      const more = Array.from({ length: 5 }, (_, i) => `more${i}`);
      await assert.rejects(store.updateSession(session_id, { add_tags: more }), {
        code: 'invalid_input',
        message: /65/,
      });
    });

    for (const [from, possible] of Object.entries(transitions))
      it(`lets a session that is ${from} become ${possible.join(', ')} only`, async () => {
        const store = await open();
        // Its keys are the statuses.
        const status = from as SessionStatus;
        for (const to of Object.keys(transitions) as SessionStatus[]) {
          if (to === status) continue;
          const { session_id } = await store.createSession({ status });
          const change = store.updateSession(session_id, { status: to });
          if (possible.includes(to)) assert.equal((await change).status, to);
          else
            await assert.rejects(change, {
              code: 'wrong_transition',
              message: `session ${session_id} is ${from} and can't become ${to}: possible is ${possible.join(', ')}`,
            });
        }
      });

    it('notes when a session ended, and forgets it when it goes on', async () => {
      const store = await open();
      const { session_id } = await store.createSession({});
      assert.notEqual((await store.updateSession(session_id, { status: 'completed' })).ended_at, null);
      assert.equal((await store.updateSession(session_id, { status: 'active' })).ended_at, null);
    });

    it('has one active session a workspace, which ends with the session', async () => {
      const store = await open();
      const [one, two] = [await store.createSession({}), await store.createSession({})];
      const activated = await store.activateSession(one.session_id, '/w');
      assert.deepEqual([activated.active, activated.workspace], [true, '/w']);
      assert.equal((await store.activateSession(two.session_id, '/w')).active, true);
      assert.equal((await store.getSession(one.session_id)).active, false);
      assert.equal((await store.updateSession(two.session_id, { status: 'completed' })).active, false);
      await assert.rejects(store.activateSession(two.session_id, '/w'), {
        code: 'session_ended',
        message: /completed/,
      });
    });

    it('tells of each change by an event in order, to listeners and to those who ask later', async () => {
      const store = await open();
      const heard: DaemonEvent[] = [];
      const stop = store.onEvents(events => heard.push(...events));
      const { session_id } = await store.createSession({ title: 'a' });
      await store.updateSession(session_id, { title: 'b' });
      await store.activateSession(session_id, '/w');
      await store.bindConversation({ client: 'c', conversation_id: '1' }, session_id);
      await assert.rejects(store.updateSession(session_id, { title: 'c' }, 99));
      const types = ['session.created', 'session.updated', 'session.activated', 'conversation.moved'];
      assert.deepEqual(
        heard.map(({ type }) => type),
        types,
      );
      const { events, oldest, latest } = await store.listEvents(0, 100);
      assert.deepEqual(events, heard);
      assert.deepEqual([oldest, latest, heard.map(({ seq }) => seq)], [1, 4, [1, 2, 3, 4]]);
      assert.deepEqual((await store.listEvents(2, 1)).events, heard.slice(2, 3));
      stop();
      await store.createSession({});
      assert.equal(heard.length, 4);
    });
  });
}

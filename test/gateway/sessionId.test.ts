import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { RawClient } from '../support/rawClient.ts';
import { echoed, Sessiond } from '../support/sessiond.ts';

describe('session_id', () => {
  let home: Sessiond;
  let client: RawClient;
  let log: string;
  const upstreamSaw = (text: string): boolean => readFileSync(log, 'utf8').includes(text);

  before(async () => {
    home = new Sessiond();
    log = path.join(home.folder, 'upstream.log');
    home.start();
    client = home.wrap([], { UPSTREAM_LOG: log });
    await client.initialize();
    await client.request('tools/list');
  });
  after(() => home.end());

  it('is never seen by an upstream that refuses unknown arguments, and reaches it in _meta', async () => {
    const answer = await client.call('strict', { message: 'm', session_id: 'strict-one' });
    assert.deepEqual(answer.result.structuredContent.seen, ['message']);
    assert.equal(echoed(answer).session, 'strict-one');
    assert.ok(upstreamSaw('"dev.sessiond/session_id":"strict-one"'));
    const recorded = await home.recorded(echoed(answer).invocation);
    assert.deepEqual(
      [recorded.session_id, recorded.attribution, recorded.arguments],
      ['strict-one', 'explicit', { message: 'm' }],
    );
  });

  it('makes the session where the id is well formed and unknown', async () => {
    const id = 'made-by-its-first-call';
    await home.recorded(echoed(await client.call('echo', { message: 'm', session_id: id })).invocation);
    const session = await home.client.call('sessions_get', { session_id: id });
    assert.deepEqual([session.status, session.total_invocations, session.tools_used], ['active', 1, ['fixture__echo']]);
  });

  it("that is the tool's own is left alone and passed on, and decides no session", async () => {
    const answer = await client.call('own_session', { session_id: 'theirs !!' });
    assert.equal(answer.result.content[0].text, 'own session theirs !!');
    assert.equal((await home.recorded(echoed(answer).invocation)).attribution, 'inferred');
  });

  it('left out, null or empty is no wish: the conversation decides', async () => {
    const [plain, none, empty] = [
      await client.call('echo', { message: 'a' }),
      await client.call('echo', { message: 'a', session_id: null }),
      await client.call('strict', { message: 'a', session_id: '' }),
    ];
    assert.equal(new Set([plain, none, empty].map(answer => echoed(answer).session)).size, 1);
  });

  for (const [what, id] of [
    ['with a space', 'a b'],
    ['a number', 7],
    ['too long', 'x'.repeat(65)],
    ['an object', {}],
  ] as const) {
    it(`that is malformed (${what}) is an isError result that says so, and the upstream is not called`, async () => {
      const marker = `marker-${what.replaceAll(' ', '-')}`;
      const answer = await client.call('echo', { message: marker, session_id: id });
      assert.equal(answer.result.isError, true);
      assert.match(answer.result.content[0].text, /session_id .*(malformed: use 1 to 64|must be a string)/);
      assert.equal(upstreamSaw(marker), false);
      assert.equal((await home.recorded(echoed(answer).invocation)).status, 'refused');
    });
  }

  for (const status of ['completed', 'failed', 'expired'] as const) {
    it(`of a session that is ${status} is an isError result that says what to do, and the upstream is not called`, async () => {
      const id = `ended-${status}`;
      const past = new Date(Date.now() - 1000).toISOString();
      await home.client.call('sessions_create', {
        session_id: id,
        ...(status === 'expired' ? { expires_at: past } : {}),
      });
      if (status !== 'expired') await home.client.call('sessions_complete', { session_id: id, status });
      const answer = await client.call('echo', { message: `to-${status}`, session_id: id });
      assert.equal(answer.result.isError, true);
      assert.match(answer.result.content[0].text, new RegExp(`${id}.*${status}`, 's'));
      assert.equal(upstreamSaw(`to-${status}`), false);
    });
  }

  it('of a session completed while it was in use is refused from then on', async () => {
    const id = 'ends-in-use';
    assert.equal((await client.call('echo', { message: '1', session_id: id })).result.isError, undefined);
    await home.client.call('sessions_complete', { session_id: id });
    const refused = async (): Promise<boolean> =>
      (await client.call('echo', { message: '2', session_id: id })).result.isError === true;
    const deadline = Date.now() + 5000;
    while (!(await refused())) assert.ok(Date.now() < deadline, 'it was never refused');
  });

  for (const [when, at] of [
    ['is made with an end', 'made'],
    ['is given an end while it is in use', 'given'],
  ] as const) {
    it(`of a session that ${when} is refused from then on`, async () => {
      const id = `ends-in-time-${at}`;
      const expires_at = new Date(Date.now() + 700).toISOString();
      await home.client.call('sessions_create', { session_id: id, ...(at === 'made' ? { expires_at } : {}) });
      assert.equal((await client.call('echo', { message: '1', session_id: id })).result.isError, undefined);
      if (at === 'given') await home.client.call('sessions_update', { session_id: id, expires_at });
      const refused = async (): Promise<boolean> =>
        (await client.call('echo', { message: '2', session_id: id })).result.isError === true;
      const deadline = Date.now() + 5000;
      while (!(await refused())) assert.ok(Date.now() < deadline, 'it was never refused');
    });
  }

  it('of --session and of a header holds for every call', async () => {
    const flagged = home.wrap(['--session', 'by-flag']);
    await flagged.initialize();
    const answer = await flagged.call('echo', { message: 'm' });
    assert.equal((await home.recorded(echoed(answer).invocation)).attribution, 'explicit');
    assert.equal(echoed(answer).session, 'by-flag');
  });

  it('of SESSIOND_SESSION_ID is never a reason to refuse: an ended one gives way to a session of its own', async () => {
    await home.client.call('sessions_create', { session_id: 'from-env' });
    await home.client.call('sessions_complete', { session_id: 'from-env' });
    const other = home.wrap([], { SESSIOND_SESSION_ID: 'from-env' });
    await other.initialize();
    const answer = await other.call('echo', { message: 'm' });
    assert.equal(answer.result.content[0].text, 'm');
    assert.notEqual(echoed(answer).session, 'from-env');
  });
});

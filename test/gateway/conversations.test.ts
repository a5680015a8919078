import assert from 'node:assert/strict';
import { realpathSync } from 'node:fs';
import { echoed, fixture, Sessiond } from '../support/sessiond.ts';

describe('conversations', () => {
  let home: Sessiond;
  before(() => {
    const [command, ...args] = fixture;
    home = new Sessiond({ mcpServers: { fixture: { command, args } } });
    home.start();
  });
  after(() => home.end());

  const attributionOf = async (answer: Parameters<typeof echoed>[0]): Promise<string> =>
    (await home.recorded(echoed(answer).invocation)).attribution;

  it('one by _meta, one by the environment, one inferred: each has a session of its own, and the rung is recorded', async () => {
    const codex = home.wrap();
    await codex.initialize({ clientInfo: { name: 'codex-mcp-client', version: '0.169' } });
    const first = await codex.call('echo', { message: '1' }, { threadId: 'thread-1' });
    const second = await codex.call('echo', { message: '2' }, { threadId: 'thread-2' });
    const third = await codex.call('echo', { message: '3' }, { threadId: 'thread-1' });
    const claude = home.wrap([], { CLAUDE_CODE_SESSION_ID: 'claude-1' });
    await claude.initialize({ clientInfo: { name: 'claude-code', version: '2.1' } });
    const fourth = await claude.call('echo', { message: '4' });
    const plain = home.wrap();
    await plain.initialize();
    const fifth = await plain.call('echo', { message: '5' });
    const sessions = [first, second, third, fourth, fifth].map(answer => echoed(answer).session);
    assert.equal(sessions[0], sessions[2]);
    assert.equal(new Set(sessions).size, 4);
    assert.deepEqual(await Promise.all([first, fourth, fifth].map(attributionOf)), ['meta', 'environment', 'inferred']);
  });

  it('goes on in the same session from another process, and over a restart of the daemon', async () => {
    const call = async (): Promise<string> => {
      const client = home.wrap([], { CLAUDE_CODE_SESSION_ID: 'long-lived' });
      await client.initialize({ clientInfo: { name: 'claude-code', version: '2.1' } });
      const answer = await client.call('echo', { message: 'm' });
      await home.recorded(echoed(answer).invocation);
      await client.close();
      return echoed(answer).session;
    };
    const before = await call();
    assert.equal(await call(), before);
    home.run('stop');
    home.start();
    assert.equal(await call(), before);
  });

  it('of two clients join the active session of their workspace, and sessions_use moves one of them', async () => {
    const { session_id } = await home.client.call('sessions_create', { title: 'Shared work' });
    await home.client.call('sessions_use', { session_id, workspace: realpathSync(home.workspace) });
    const claude = home.raw(['stdio']);
    await claude.initialize({ clientInfo: { name: 'claude-code', version: '2.1' } });
    const codex = home.wrap();
    await codex.initialize({ clientInfo: { name: 'codex-mcp-client', version: '0.169' } });
    const ofClaude = await claude.call('fixture__echo', { message: '1' });
    const ofCodex = await codex.call('echo', { message: '2' }, { threadId: 'joining' });
    assert.deepEqual([echoed(ofClaude).session, echoed(ofCodex).session], [session_id, session_id]);
    const recorded = await Promise.all([ofClaude, ofCodex].map(answer => home.recorded(echoed(answer).invocation)));
    assert.deepEqual(
      recorded.map(call => [call.session_id, call.client]),
      [
        [session_id, 'claude-code'],
        [session_id, 'codex-mcp-client'],
      ],
    );

    const other = await home.client.call('sessions_create', { title: 'Other work' });
    const used = await claude.call('sessions_use', { session_id: other.session_id });
    assert.equal(used.result.structuredContent.session_id, other.session_id);
    const moved = await claude.call('fixture__echo', { message: '3' });
    const stayed = await codex.call('echo', { message: '4' }, { threadId: 'joining' });
    assert.deepEqual([echoed(moved).session, echoed(stayed).session], [other.session_id, session_id]);
    assert.equal(await attributionOf(moved), 'binding');
  });

  it('in a suspended session makes it active again; in a completed one it gets a linked successor', async () => {
    const client = home.wrap([], { CLAUDE_CODE_SESSION_ID: 'ending' }, home.folder);
    await client.initialize({ clientInfo: { name: 'claude-code', version: '2.1' } });
    const session_id = echoed(await client.call('echo', { message: '1' })).session;
    await home.calls(1);
    await home.client.call('sessions_update', { session_id, status: 'suspended' });
    const resumed = await client.call('echo', { message: '2' });
    await home.recorded(echoed(resumed).invocation);
    assert.equal(echoed(resumed).session, session_id);
    assert.equal((await home.client.call('sessions_get', { session_id })).status, 'active');

    await home.client.call('sessions_complete', { session_id });
    let successor = session_id;
    for (const deadline = Date.now() + 5000; successor === session_id && Date.now() < deadline; ) {
      const answer = await client.call('echo', { message: '3' });
      assert.equal(answer.result.isError, undefined);
      await home.recorded(echoed(answer).invocation);
      successor = echoed(answer).session;
    }
    const next = await home.client.call('sessions_get', { session_id: successor });
    assert.equal(next.parent_session_id, session_id);
  });

  it('that only probes and leaves makes no session', async () => {
    const count = async (): Promise<number> => (await home.client.call('sessions_list', { limit: 500 })).items.length;
    const before = await count();
    const client = home.wrap();
    await client.request('server/discover');
    await client.initialize();
    await client.request('tools/list');
    await client.close();
    assert.equal(await count(), before);
  });
});

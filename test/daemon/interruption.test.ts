import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import path from 'node:path';
import { echoed, fixture, Sessiond, until } from '../support/sessiond.ts';

const [command, ...args] = fixture;

/** Sends a call over HTTP without waiting for its answer. */
function post(
  home: Sessiond,
  tool: string,
  toolArgs: Record<string, unknown>,
): Promise<{ error?: { message: string } }> {
  return fetch(home.mcpUrl, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${home.discovery().token}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: tool, arguments: toolArgs } }),
  }).then(response => response.json() as Promise<{ error?: { message: string } }>);
}

const running = (home: Sessiond): Promise<string> =>
  until(async () => {
    const { items } = await home.client.call('invocations_list', { status: ['running'] });
    return items[0]?.invocation_id ?? null;
  }, 'a running call');

describe('a daemon that ends', () => {
  let home: Sessiond;
  beforeEach(() => {
    home = new Sessiond({ mcpServers: { fixture: { command, args } } });
    home.start();
  });
  afterEach(() => home.end());

  it('when it is stopped answers calls in flight and records them as interrupted', async () => {
    const answer = post(home, 'fixture__never', {});
    const id = await running(home);
    assert.equal(home.run('stop').status, 0);
    assert.match((await answer).error?.message ?? '', /stopped while the call ran/);
    home.start();
    const recorded = await home.recorded(id);
    assert.deepEqual([recorded.status, recorded.error_message?.includes('stopped')], ['interrupted', true]);
  });

  it('when it is killed leaves calls running that the next start finds and ends as interrupted', async () => {
    const answer = post(home, 'fixture__never', {}).catch(() => null);
    const id = await running(home);
    home.kill();
    await answer;
    home.start();
    assert.equal((await home.recorded(id)).status, 'interrupted');
  });

  it('lets stdio calls pass while it is down, and has all of them once after its next start', async () => {
    const client = home.wrap();
    await client.initialize();
    const first = await client.call('echo', { message: 'before' });
    await home.recorded(echoed(first).invocation);
    const pid = home.discovery().pid;
    home.kill();
    const ids = new Set<string>();
    const sessions = new Set<string>();
    for (let i = 0; i < 200; i += 1) {
      const answer = await client.call('echo', { message: `during ${i}` });
      assert.equal(answer.result.content[0].text, `during ${i}`);
      ids.add(echoed(answer).invocation);
      sessions.add(echoed(answer).session);
    }
    assert.equal(ids.size, 200);
    assert.deepEqual([...sessions], [echoed(first).session]);
    // the stdio process starts it again by itself
    await until(() => (home.discovery().pid === pid ? null : true), 'a new daemon');
    const calls = await home.calls(201);
    assert.equal(calls.length, 201);
    assert.ok(calls.every(call => call.status === 'completed'));
    assert.ok([...ids].every(id => calls.some(call => call.invocation_id === id)));
  });

  it('has what stdio processes recorded that were killed with it', async () => {
    const client = home.wrap();
    await client.initialize();
    home.run('stop');
    const answer = await client.call('echo', { message: 'alone' });
    const spool = path.join(home.home, 'spool');
    await until(() => (existsSync(spool) && readdirSync(spool).length > 0 ? true : null), 'the spool');
    client.child.kill('SIGKILL');
    await client.exited;
    home.start();
    assert.equal((await home.recorded(echoed(answer).invocation)).status, 'completed');
  });

  it('completes .history and .sessions at its next start', async () => {
    const client = home.wrap();
    await client.initialize();
    const answers = [];
    for (let i = 0; i < 50; i += 1) answers.push(await client.call('echo', { message: `m${i}` }));
    const { invocation, session } = echoed(answers.at(-1) ?? {});
    await home.recorded(invocation);
    home.kill();
    await client.close();
    home.start();
    const links = path.join(home.home, '.sessions', session, 'invocations');
    await until(() => (existsSync(links) && readdirSync(links).length === 50 ? true : null), '50 links');
    const link = path.join(links, invocation);
    assert.match(
      readlinkSync(link),
      /^\.\.\/\.\.\/\.\.\/\.history\/\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_\d{6}_fixture__echo/,
    );
    const record = JSON.parse(readFileSync(path.join(link, 'record.jsonl'), 'utf8').split('\n')[0] ?? '');
    assert.deepEqual([record.invocation_id, record.arguments], [invocation, { message: 'm49' }]);
  });
});

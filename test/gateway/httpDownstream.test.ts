import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { ServerConfig } from '../../shared/server.ts';
import type { RawMessage } from '../support/rawClient.ts';
import { echoed, fixture, Sessiond, until } from '../support/sessiond.ts';

const [command = '', ...args] = fixture;
const call = (id: number | string, name: string, toolArgs: Record<string, unknown> = {}): RawMessage => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name, arguments: toolArgs },
});
const initialize: RawMessage = {
  jsonrpc: '2.0',
  id: 'init',
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'http-client', version: '1' } },
};

describe('MCP over HTTP', () => {
  let home: Sessiond;
  let log: string;
  beforeEach(() => {
    home = new Sessiond();
    log = path.join(home.folder, 'upstream.log');
    const env = { UPSTREAM_LOG: log };
    const servers = { one: { command, args, env, timeout_ms: 1_500 }, two: { command, args } };
    home.start();
    return Promise.all(Object.entries(servers).map(([server, config]) => addServer(server, config)));
  });
  afterEach(() => home.end());

  const addServer = (server: string, config: ServerConfig): Promise<unknown> =>
    home.client.call('servers_add', { server, config });
  const seen = (text: string): Promise<true> =>
    until(() => (existsSync(log) && readFileSync(log, 'utf8').includes(text) ? true : null), `${text} at the upstream`);

  function send(
    method: string,
    suffix: string,
    body: unknown,
    headers: Record<string, string> = {},
    signal?: AbortSignal,
  ): Promise<Response> {
    return fetch(`${home.mcpUrl}${suffix}`, {
      method,
      headers: {
        authorization: `Bearer ${home.discovery().token}`,
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal === undefined ? {} : { signal }),
    });
  }
  const post = async (suffix: string, body: unknown, headers?: Record<string, string>): Promise<RawMessage[]> => {
    const text = await (await send('POST', suffix, body, headers)).text();
    const lines = text.startsWith('{') ? [text] : text.split('\n').filter(line => line.startsWith('data: '));
    return lines.map(line => JSON.parse(line.replace(/^data: /, '')) as RawMessage);
  };
  const open = async (suffix: string): Promise<Record<string, string>> => {
    const response = await send('POST', suffix, initialize);
    await response.text();
    return { 'mcp-session-id': response.headers.get('mcp-session-id') ?? '' };
  };

  it('gives a late answer to nobody, though another caller uses the same id by then', async () => {
    const late = call(1, 'slow', { ms: 2_200 });
    assert.equal((await post('/one', late))[0]?.error?.code, -32001);
    const [answer] = await post('/one', call(1, 'slow', { ms: 1_200 }));
    assert.equal(answer?.result?.content[0].text, 'after 1200');
  });

  it('lets no caller without an MCP session cancel the call of another one that has the same id', async () => {
    const answer = post('/one', call(1, 'slow', { ms: 1_000 }));
    await seen('"slow"');
    const params = { requestId: 1, reason: 'mine is over' };
    await send('POST', '/one', { jsonrpc: '2.0', method: 'notifications/cancelled', params });
    assert.equal((await answer)[0]?.result?.content[0].text, 'after 1000');
    assert.equal((await home.calls(1))[0]?.status, 'completed');
  });

  it('ends the POST of a call that its client cancelled, and the upstream still finds the next POST', async () => {
    const mcp = await open('/two');
    const answer = post('/two', call(7, 'never'), mcp);
    await until(async () => {
      const { items } = await home.client.call('invocations_list', { status: ['running'] });
      return items.length === 1 ? true : null;
    }, 'a running call');
    const params = { requestId: 7, reason: 'enough' };
    await send('POST', '/two', { jsonrpc: '2.0', method: 'notifications/cancelled', params }, mcp);
    assert.deepEqual(await answer, []);

    // with the cancelled call out of the way the question comes on the POST of the only call there is
    const response = await send('POST', '/two', call(8, 'ask'), mcp);
    let text = '';
    for await (const chunk of response.body ?? []) {
      text += Buffer.from(chunk).toString();
      const question = /^data: (.*sampling.*)$/m.exec(text)?.[1];
      if (question === undefined || text.includes('client said')) continue;
      const { id } = JSON.parse(question) as RawMessage;
      await send('POST', '/two', { jsonrpc: '2.0', id, result: { model: 'm' } }, mcp);
    }
    assert.match(text, /client said .*model/);
  });

  it('never puts an answer on the GET stream when the client that waits for it has gone', async () => {
    const mcp = await open('/two');
    const leaves = new AbortController();
    const gone = send('POST', '/two', call(1, 'slow', { ms: 300 }), mcp, leaves.signal).catch(() => null);
    await until(async () => {
      const { items } = await home.client.call('invocations_list', { status: ['running'] });
      return items.length === 1 ? true : null;
    }, 'a running call');
    leaves.abort();
    await gone;
    assert.equal((await home.calls(1))[0]?.status, 'completed');
    const listening = await send('GET', '/two', undefined, mcp);
    await send('DELETE', '/two', undefined, mcp);
    assert.equal(await listening.text(), '');
  });

  it('answers each item of a batch on its own POST, the ones that are no requests too', async () => {
    const answers = await post('/two', [{ hello: 1 }, call(5, 'slow', { ms: 100 })]);
    assert.deepEqual(
      answers.map(({ id, error }) => [id, error?.code]),
      [
        [null, -32600],
        [5, undefined],
      ],
    );
  });

  it('takes the session of each request by its header, on one connection to the upstream', async () => {
    const ids = ['first-id', 'second-id'];
    const answers: RawMessage[] = [];
    for (const id of ids)
      answers.push(...(await post('/one', call(1, 'echo', { message: 'm' }), { 'x-session-id': id })));
    const mcp = await open('/one');
    for (const id of ids) {
      answers.push(...(await post('/one', call(1, 'echo', { message: 'm' }), { ...mcp, 'x-session-id': id })));
    }
    assert.deepEqual(
      answers.map(answer => echoed(answer).session),
      [...ids, ...ids],
    );
    assert.equal(readFileSync(log, 'utf8').split('"method":"initialize"').length - 1, 2);
  });

  it('refuses an MCP session of another path, and says where it belongs', async () => {
    const mcp = await open('/two');
    const response = await send('POST', '/one', call(1, 'echo', { message: 'm' }), mcp);
    assert.equal(response.status, 404);
    assert.match(await response.text(), /belongs to \/mcp\/two, not to \/mcp\/one/);
  });

  it('listens for a client of before a restart, whose GET comes first', async () => {
    const response = await send('GET', '/one', undefined, { 'mcp-session-id': 'from-before' });
    assert.deepEqual([response.status, response.headers.get('content-type')], [200, 'text/event-stream']);
    await response.body?.cancel();
  });

  it('lets go of a server that is removed, also on the path of its own', async () => {
    const mcp = await open('/one');
    const running = post('/one', call(1, 'never'), mcp);
    await post('/one', call(1, 'echo', { message: 'm' }));
    await home.client.call('servers_remove', { server: 'one' });
    assert.match((await running)[0]?.error?.message ?? '', /"one" was removed or changed/);
    for (const headers of [{}, mcp]) {
      assert.equal((await send('POST', '/one', call(2, 'echo', { message: 'm' }), headers)).status, 404);
    }
  });

  it('says that a message is over the limit, instead of hanging up', async () => {
    const body = { jsonrpc: '2.0', id: 1, method: 'x', params: { big: 'x'.repeat(65 * 1024 * 1024) } };
    const response = await send('POST', '/one', body);
    assert.equal(response.status, 413);
    assert.match(await response.text(), /over 64 MiB/);
  });

  it('shows the tools as they are after an upstream said that they have changed', async () => {
    const mcp = await open('');
    const names = async (): Promise<string[]> => {
      const [answer] = await post('', { jsonrpc: '2.0', id: 'l', method: 'tools/list', params: {} }, mcp);
      const { tools } = answer?.result ?? { tools: [] };
      return (tools as { name: string }[]).map(tool => tool.name);
    };
    assert.ok(!(await names()).includes('two__grown'));
    await post('', call(1, 'two__grow'), mcp);
    assert.ok((await names()).includes('two__grown'));
  });

  it("passes the tools of a server on whose name begins like one of sessiond's own", async () => {
    await addServer('sessions', { command, args });
    const [answer] = await post('', call(1, 'sessions__echo', { message: 'm' }));
    assert.equal(answer?.result?.content[0].text, 'm');
  });
});

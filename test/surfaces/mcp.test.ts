import assert from 'node:assert/strict';
import type { Caller } from '../../daemon/invoke.ts';
import { createMcpSurface, type McpSurface } from '../../daemon/surfaces/mcp.ts';
import { openWorld, type World } from './world.ts';

describe("sessiond's own MCP tools", () => {
  let world: World;
  let surface: McpSurface;
  const caller: Caller = {
    surface: 'mcp',
    client: 'c',
    conversation: { client: 'c', conversation_id: 'x' },
    workspace: '/w',
  };
  before(async () => {
    world = await openWorld();
    surface = createMcpSurface(world.invoke, { version: '0' });
  });
  after(() => world.close());

  const call = async (name: string, given: object, as: Caller = caller) => {
    const response = await surface.handle(
      { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: given } },
      as,
    );
    assert.ok(response && 'result' in response, JSON.stringify(response));
    return response.result as {
      isError?: boolean;
      content: { text: string }[];
      structuredContent?: Record<string, unknown>;
    };
  };

  it('are few by default, and all that list mcp when asked', () => {
    assert.deepEqual(
      surface.tools.map(({ name }) => name),
      [
        'sessions_create',
        'sessions_get',
        'sessions_list',
        'sessions_update',
        'sessions_use',
        'sessions_complete',
        'invocations_list',
        'invocations_get',
      ],
    );
    const all = createMcpSurface(world.invoke, { version: '0', all: true }).tools.map(({ name }) => name);
    for (const name of ['invocations_link', 'servers_list', 'daemon_status']) assert.ok(all.includes(name), name);
    for (const name of ['servers_add', 'servers_remove']) assert.ok(!all.includes(name), name);
  });

  it('cost a model little: short schemas that stand alone', () => {
    const inputs = JSON.stringify(surface.tools.map(({ outputSchema: _, ...tool }) => tool));
    assert.ok(!JSON.stringify(surface.tools).includes('$ref'));
    assert.ok(inputs.length < 9000, `${inputs.length}`);
    for (const tool of surface.tools) {
      assert.equal(tool.inputSchema.type, 'object');
      assert.equal(tool.outputSchema.type, 'object');
      assert.equal(tool.inputSchema.additionalProperties, false);
    }
  });

  it('carry hints from the table', () => {
    const hints = new Map(surface.tools.map(({ name, annotations }) => [name, annotations]));
    assert.equal(hints.get('sessions_list')?.readOnlyHint, true);
    assert.equal(hints.get('sessions_create')?.readOnlyHint, false);
    assert.equal(hints.get('sessions_create')?.idempotentHint, false);
    assert.equal(hints.get('sessions_use')?.idempotentHint, true);
  });

  it('know who calls: client and workspace of a new session, the conversation of sessions_use', async () => {
    const { structuredContent } = await call('sessions_create', { session_id: 'mine' });
    assert.equal(structuredContent?.client, 'c');
    assert.equal(structuredContent?.workspace, '/w');
    assert.ok(!(await call('sessions_use', { session_id: 'mine' })).isError);
    const { events } = await world.store.listEvents(0, 100);
    const moved = events.find(({ type }) => type === 'conversation.moved');
    assert.ok(moved?.type === 'conversation.moved' && moved.client === 'c' && moved.conversation_id === 'x');
  });

  it('sessions_use without a conversation activates the session where the caller works, and else says what to give', async () => {
    const { structuredContent } = await call('sessions_use', { session_id: 'mine' }, { ...caller, conversation: null });
    assert.equal(structuredContent?.active, true);
    const lost = await call('sessions_use', { session_id: 'mine' }, { ...caller, conversation: null, workspace: null });
    assert.match(lost.content[0]?.text ?? '', /give a workspace .* or client and conversation_id/);
    for (const given of [
      { client: 'c' },
      { conversation_id: 'x' },
      { workspace: '/w', client: 'c', conversation_id: 'x' },
      { workspace: 'w' },
    ])
      assert.equal((await call('sessions_use', { session_id: 'mine', ...given })).isError, true, JSON.stringify(given));
  });

  it('an error that nobody foresaw is a result too, without its cause', async () => {
    const { getSession } = world.store;
    world.store.getSession = () => Promise.reject(new Error('secret'));
    try {
      const { isError, content } = await call('sessions_get', { session_id: 'mine' });
      assert.equal(isError, true);
      const { error } = JSON.parse(content[0]?.text ?? '');
      assert.deepEqual([error.code, error.message.includes('secret')], ['internal', false]);
    } finally {
      world.store.getSession = getSession;
    }
  });

  it('survive arguments of every wrong kind', async () => {
    for (const given of [
      null,
      1,
      'text',
      [],
      { session_id: null },
      { session_id: '__proto__' },
      JSON.parse('{"__proto__":{}}'),
    ]) {
      const response = await surface.handle(
        { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'sessions_get', arguments: given } },
        caller,
      );
      assert.match(JSON.stringify(response), /"isError":true/, JSON.stringify(given));
    }
    for (const params of [undefined, null, [], { name: 5 }, { name: '__proto__' }, { name: 'constructor' }])
      assert.match(
        JSON.stringify(await surface.handle({ jsonrpc: '2.0', id: 1, method: 'tools/call', params }, caller)),
        /-32602/,
      );
  });
});

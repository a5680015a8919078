import assert from 'node:assert/strict';
import type * as z from 'zod';
import type { Caller } from '../../daemon/invoke.ts';
import { createMcpSurface } from '../../daemon/surfaces/mcp.ts';
import { requestOf } from '../../shared/client.ts';
import type { Operation } from '../../shared/operation.ts';
import { type OperationInput, type OperationName, operations } from '../../shared/operations/table.ts';
import { openWorld, runIn, type World } from './world.ts';

type Input = Record<string, unknown>;
type Inputs = { readonly [N in OperationName]: OperationInput<N> };
type Way = 'rest' | 'client' | 'mcp' | 'cli';

const names = Object.keys(operations) as OperationName[];
const mcpCaller: Caller = {
  surface: 'mcp',
  client: null,
  conversation: null,
  workspace: null,
};

describe('parity of the surfaces', () => {
  let world: World;
  before(async () => {
    world = await openWorld();
  });
  after(() => world.close());

  /** Fresh things for one run of one operation: no run sees what another changed. */
  async function inputs(name: string): Promise<Inputs> {
    const session_id = `${name}-${crypto.randomUUID().slice(0, 8)}`;
    await world.store.createSession({ session_id, title: 'Parity', tags: ['a'] });
    const invocation_id = await world.record(session_id, 'read');
    const { version } = await world.store.getSession(session_id);
    const server = `s${crypto.randomUUID().slice(0, 8)}`;
    const config = { command: 'npx', args: ['-y', 'x'] };
    if (name === 'servers_remove') await world.invoke('servers_add', { server, config }, mcpCaller);
    return {
      sessions_create: {
        session_id: `${session_id}-new`,
        title: 'Parity',
        tags: ['b', 'c'],
        custom_metadata: { n: 1 },
      },
      sessions_get: { session_id },
      sessions_list: { tags_any: ['a'], status: ['active', 'created'], limit: 1 },
      sessions_update: { session_id, title: 'Changed', add_tags: ['x'], version, task_id: 't' },
      sessions_use: { session_id, workspace: world.home },
      sessions_complete: { session_id, status: 'failed' },
      invocations_list: { session_id, limit: 5 },
      invocations_get: { invocation_id },
      invocations_link: { session_id, invocation_id },
      servers_list: {},
      servers_add: { server, config },
      servers_remove: { server },
      daemon_status: {},
    };
  }

  async function byRest(record: Operation, input: Input): Promise<unknown> {
    const { method, path, body } = requestOf(record, input);
    const response = await world.fetch(path, {
      method,
      ...(body ? { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } } : {}),
    });
    assert.equal(response.status, 200, await response.clone().text());
    return response.json();
  }

  async function byMcp(name: string, input: Input): Promise<unknown> {
    const surface = createMcpSurface(world.invoke, { version: '0', all: true });
    const message = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: input } };
    const response = await surface.handle(message, mcpCaller);
    assert.ok(response && 'result' in response, JSON.stringify(response));
    const { result } = response;
    assert.ok(typeof result === 'object' && result && 'structuredContent' in result, JSON.stringify(result));
    assert.ok('content' in result && Array.isArray(result.content));
    assert.deepEqual(JSON.parse(result.content[0].text), result.structuredContent);
    return result.structuredContent;
  }

  async function byCli(record: Operation, input: Input): Promise<unknown> {
    const [noun = '', ...verb] = record.name.split('_');
    const { status, stdout, stderr } = await runIn(world, [
      noun,
      verb.join('-'),
      ...commandLine(record, input),
      '--json',
    ]);
    assert.equal(status, 0, stderr);
    assert.equal(stderr, '');
    return JSON.parse(stdout);
  }

  async function run<N extends OperationName>(way: Way, name: N): Promise<unknown> {
    const input = (await inputs(name))[name];
    if (way === 'rest') return byRest(operations[name], input);
    if (way === 'client') return world.client.call(name, input);
    return way === 'mcp' ? byMcp(name, input) : byCli(operations[name], input);
  }

  for (const name of names) {
    const record: Operation = operations[name];
    const ways: Way[] = record.surfaces.flatMap(surface =>
      surface === 'rest' ? ['rest' as const, 'client' as const] : [surface],
    );
    for (const way of ways)
      it(`${name} works by ${way} and answers exactly its output schema`, async () => {
        const output = await run(way, name);
        assert.deepEqual(issuesOf(record.output, output), []);
      });

    it(`${name} answers the same shape on ${ways.join(', ')}`, async () => {
      const shapes = [];
      for (const way of ways) shapes.push(shapeOf(await run(way, name)));
      for (const shape of shapes) assert.deepEqual(shape, shapes[0]);
    });

    if (!record.surfaces.includes('mcp'))
      it(`${name} is absent from MCP`, async () => {
        const surface = createMcpSurface(world.invoke, { version: '0', all: true });
        assert.ok(!surface.tools.some(tool => tool.name === name));
        const message = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: {} } };
        assert.deepEqual(await surface.handle(message, mcpCaller), {
          jsonrpc: '2.0',
          id: 1,
          error: { code: -32602, message: `Unknown tool: ${name}` },
        });
      });
  }

  it('OpenAPI has exactly the operations of REST', async () => {
    const document = await (await world.fetch('/openapi.json')).json();
    const described = Object.values(document.paths as Record<string, Record<string, { operationId: string }>>)
      .flatMap(path => Object.values(path))
      .map(({ operationId }) => operationId);
    const onRest = names.filter(name => (operations[name] as Operation).surfaces.includes('rest'));
    assert.deepEqual(described.sort(), onRest.sort());
    assert.ok(!JSON.stringify(document).includes('$defs'), 'every schema stands alone');
  });

  it('an error has the same code and message on every surface', async () => {
    const input = { session_id: 'nobody' };
    const rest = await (await world.fetch('/sessions/nobody')).json();
    const surface = createMcpSurface(world.invoke, { version: '0' });
    const message = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'sessions_get', arguments: input } };
    const mcp = JSON.stringify(await surface.handle(message, mcpCaller));
    const cli = await runIn(world, ['sessions', 'get', 'nobody']);
    assert.equal(rest.error.code, 'not_found');
    assert.ok(mcp.includes(JSON.stringify(JSON.stringify(rest))) && mcp.includes('"isError":true'), mcp);
    assert.deepEqual(cli, { status: 3, stdout: '', stderr: `sessiond: ${rest.error.message}\n` });
    await assert.rejects(world.client.call('sessions_get', input), { code: 'not_found', message: rest.error.message });
  });
});

function commandLine(record: Operation, input: Input): string[] {
  const positionals: readonly string[] = record.cli.positionals ?? [];
  const flags = Object.entries(input)
    .filter(([key]) => !positionals.includes(key))
    .flatMap(([key, value]) => {
      const flag = `--${key.replaceAll('_', '-')}`;
      if (value === true) return [flag];
      if (Array.isArray(value)) return value.flatMap(item => [flag, String(item)]);
      return [flag, typeof value === 'object' ? JSON.stringify(value) : String(value)];
    });
  return [...positionals.flatMap(key => (input[key] === undefined ? [] : [String(input[key])])), ...flags];
}

/** Unknown keys count: what is not in the schema is not in the contract. */
function issuesOf(schema: z.ZodType, output: unknown): unknown[] {
  const parsed = schema.safeParse(output);
  if (!parsed.success) return parsed.error.issues;
  try {
    assert.deepEqual(parsed.data, output);
    return [];
  } catch (error) {
    return [error];
  }
}

/** The types of the members, to any depth; of a list, those of its first item. */
function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.slice(0, 1).map(shapeOf);
  if (typeof value !== 'object' || value === null) return value === null ? 'null' : typeof value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, shapeOf(member)]));
}

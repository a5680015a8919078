import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { promisify } from 'node:util';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { findChromium } from '../chromium.ts';
import { root, Sessiond, script } from '../support/sessiond.ts';

const { resolve } = createRequire(import.meta.url);
const chromium = findChromium();

interface RealServer {
  readonly name: string;
  readonly args: (folder: string) => string[];
  readonly calls: readonly (readonly [tool: string, args: (folder: string) => Record<string, unknown>])[];
}

const servers: RealServer[] = [
  {
    name: 'everything',
    args: () => [resolve('@modelcontextprotocol/server-everything/dist/index.js')],
    calls: [
      ['echo', () => ({ message: 'héllo "world"\n𝒳' })],
      ['get-sum', () => ({ a: 2, b: 40 })],
      ['get-tiny-image', () => ({})],
      ['get-structured-content', () => ({ location: 'New York' })],
    ],
  },
  {
    name: 'filesystem',
    args: folder => [resolve('@modelcontextprotocol/server-filesystem/dist/index.js'), folder],
    calls: [
      ['list_directory', folder => ({ path: folder })],
      ['read_text_file', folder => ({ path: path.join(folder, 'note.txt') })],
      ['read_text_file', folder => ({ path: path.join(folder, 'missing.txt') })],
    ],
  },
  {
    name: 'memory',
    args: () => [resolve('@modelcontextprotocol/server-memory/dist/index.js')],
    calls: [['search_nodes', () => ({ query: 'nothing' })]],
  },
  {
    name: 'playwright',
    args: () => [
      path.join(path.dirname(resolve('@playwright/mcp/package.json')), 'cli.js'),
      '--headless',
      '--no-sandbox',
      '--isolated',
      '--executable-path',
      chromium ?? '',
    ],
    calls: [['browser_tabs', () => ({ action: 'list' })]],
  },
];

/** A tool as the client sees it, less the injected property. */
function withoutSession(tool: { name: string; inputSchema: unknown }, prefix: string): unknown {
  const copy = structuredClone(tool) as { name: string; inputSchema: { properties?: Record<string, unknown> } };
  assert.ok(copy.name.startsWith(prefix));
  copy.name = copy.name.slice(prefix.length);
  assert.ok(copy.inputSchema.properties?.session_id, `${copy.name} has no session_id`);
  delete copy.inputSchema.properties.session_id;
  if (Object.keys(copy.inputSchema.properties).length === 0) delete copy.inputSchema.properties;
  return copy;
}

function emptyPropertiesLeftOut(tool: { inputSchema: { properties?: unknown } }): unknown {
  const copy = structuredClone(tool);
  if (Object.keys(copy.inputSchema.properties ?? {}).length === 0) delete copy.inputSchema.properties;
  return copy;
}

for (const server of servers) {
  describe(`the real server ${server.name}`, function () {
    this.timeout(120_000);
    let home: Sessiond;
    let folder: string;
    let direct: Client;

    const environment = (way: string): Record<string, string> => ({
      ...home.env,
      MEMORY_FILE_PATH: path.join(home.folder, `memory-${way}.json`),
    });
    const connect = async (transport: Transport): Promise<Client> => {
      const client = new Client({ name: 'real-client', version: '1.0.0' });
      await client.connect(transport);
      return client;
    };
    const stdio = (way: string, command: string, args: string[]): StdioClientTransport =>
      new StdioClientTransport({ command, args, env: environment(way), cwd: home.workspace, stderr: 'ignore' });
    const http = (suffix: string): StreamableHTTPClientTransport =>
      new StreamableHTTPClientTransport(new URL(`${home.mcpUrl}${suffix}`), {
        requestInit: { headers: { authorization: `Bearer ${home.discovery().token}` } },
      });

    before(async function () {
      if (server.name === 'playwright' && chromium === null) {
        console.log('      skipped: there is no Chromium; .ci/setup.sh installs it');
        this.skip();
      }
      home = new Sessiond();
      folder = path.join(home.folder, 'files');
      mkdirSync(folder);
      writeFileSync(path.join(folder, 'note.txt'), 'a note\nwith two lines\n');
      home.start();
      await home.client.call('servers_add', {
        server: server.name,
        config: {
          command: process.execPath,
          args: server.args(folder),
          env: { MEMORY_FILE_PATH: path.join(home.folder, 'memory-http.json') },
          cwd: home.workspace,
        },
      });
      direct = await connect(stdio('direct', process.execPath, server.args(folder)));
    });
    after(async () => {
      await direct?.close();
      await home?.end();
    });

    const ways: [string, string, () => Transport][] = [
      ['stdio', `${server.name}__`, () => stdio('stdio', process.execPath, [script, 'stdio'])],
      [
        'wrap',
        '',
        () =>
          stdio('wrap', process.execPath, [
            script,
            'wrap',
            server.name,
            '--',
            process.execPath,
            ...server.args(folder),
          ]),
      ],
      ['/mcp', `${server.name}__`, () => http('')],
      ['/mcp/{server}', '', () => http(`/${server.name}`)],
    ];
    for (const [way, prefix, transport] of ways) {
      it(`is the same through ${way}: its tools but for session_id, its content with and without a session`, async () => {
        const client = await connect(transport() as Transport);
        try {
          const expected = (await direct.listTools()).tools;
          const seen = (await client.listTools()).tools.filter(tool => prefix === '' || tool.name.includes('__'));
          assert.deepEqual(
            seen.map(tool => withoutSession(tool, prefix)),
            expected.map(emptyPropertiesLeftOut),
          );
          for (const [tool, args] of server.calls) {
            const plain = await direct.callTool({ name: tool, arguments: args(folder) });
            for (const session of [{}, { session_id: `real-${server.name}` }]) {
              const ours = await client.callTool({
                name: `${prefix}${tool}`,
                arguments: { ...args(folder), ...session },
              });
              const { _meta, ...rest } = ours;
              const { _meta: _plainMeta, ...plainRest } = plain;
              assert.equal(JSON.stringify(rest), JSON.stringify(plainRest));
              assert.ok(_meta?.['dev.sessiond/invocation_id']);
            }
          }
        } finally {
          await client.close();
        }
      });
    }

    it('lists and calls through the Inspector, every way', async () => {
      const inspector = path.join(root, 'node_modules/.bin/mcp-inspector');
      const inspect = async (target: string[], ...args: string[]): Promise<string> => {
        const { stdout } = await promisify(execFile)(
          inspector,
          ['--cli', ...target, '--format', 'json', '-q', ...args],
          {
            env: { ...environment('inspector'), PATH: process.env.PATH ?? '' },
            cwd: home.workspace,
          },
        );
        return stdout;
      };
      const url = (suffix: string): string[] => [
        '--server-url',
        `${home.mcpUrl}${suffix}`,
        '--transport',
        'http',
        '--header',
        `Authorization: Bearer ${home.discovery().token}`,
      ];
      const targets: [string[], string][] = [
        [[path.join(home.home, 'bin/sessiond'), 'stdio'], `${server.name}__`],
        [
          [path.join(home.home, 'bin/sessiond'), 'wrap', server.name, '--', process.execPath, ...server.args(folder)],
          '',
        ],
        [url(''), `${server.name}__`],
        [url(`/${server.name}`), ''],
      ];
      const [tool, args] = server.calls[0] ?? assert.fail();
      const toolArgs = Object.entries(args(folder)).flatMap(([key, value]) => ['--tool-arg', `${key}=${value}`]);
      for (const [target, prefix] of targets) {
        const listed = await inspect(target, '--method', 'tools/list');
        assert.ok(listed.includes(`"${prefix}${tool}"`), `${target.join(' ')} listed ${listed.slice(0, 300)}`);
        const called = await inspect(target, '--method', 'tools/call', '--tool-name', `${prefix}${tool}`, ...toolArgs);
        assert.ok(called.includes('dev.sessiond/invocation_id'), called.slice(0, 300));
      }
    });

    it('left a record of every one of these calls', async () => {
      const calls = await home.calls(server.calls.length * 8 + 4);
      assert.equal(calls.length, server.calls.length * 8 + 4);
      assert.ok(calls.every(call => call.server === server.name));
      const explicit = calls.filter(call => call.session_id === `real-${server.name}`);
      assert.equal(explicit.length, server.calls.length * 4);
    });
  });
}

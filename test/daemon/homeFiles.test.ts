import assert from 'node:assert/strict';
import { lstatSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { echoed, fixture, Sessiond, until } from '../support/sessiond.ts';

const [command, ...args] = fixture;

describe('the home of a daemon that was used', () => {
  let home: Sessiond;
  let umask: number;
  beforeEach(() => {
    umask = process.umask(0o022);
    home = new Sessiond({ mcpServers: { fixture: { command, args } } });
  });
  afterEach(async () => {
    process.umask(umask);
    await home.end();
  });

  it('has no file and no folder that another user could open', async function () {
    if (process.platform === 'win32') this.skip();
    home.start();
    const client = home.raw(['stdio']);
    await client.initialize();
    await client.request('tools/list');
    const big = await client.call('fixture__big', { bytes: 300_000 });
    await home.recorded(echoed(big).invocation);
    await home.client.call('servers_add', { server: 'another', config: { command: 'node', args: ['server.js'] } });
    home.run('stop');
    const spooled = await client.call('fixture__echo', { message: 'in the spool' });
    await until(() => (home.grep('in the spool').length > 0 ? true : null), 'the spool');
    home.start();
    await home.recorded(echoed(spooled).invocation);
    await until(() => (readdirSync(path.join(home.home, '.history')).length === 2 ? true : null), '.history');

    const found = readdirSync(home.home, { recursive: true, encoding: 'utf8' });
    const has = (pattern: RegExp) =>
      assert.ok(
        found.some(name => pattern.test(name)),
        `${pattern} in ${found}`,
      );
    for (const pattern of [/^blobs\/..\/.{64}$/, /^\.history\/.*record\.jsonl$/, /^\.sessions\/.*metadata\.json$/])
      has(pattern);
    for (const pattern of [/^sessions\.db-wal$/, /^daemon\.json$/, /^daemon\.sock$/, /^logs\/daemon\.log$/, /^spool$/])
      has(pattern);
    const open = ['.', ...found].filter(name => {
      const stat = lstatSync(path.join(home.home, name));
      return !stat.isSymbolicLink() && (stat.mode & 0o077) !== 0;
    });
    assert.deepEqual(open, []);
  });
});

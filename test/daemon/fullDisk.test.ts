import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Sessiond, script, until } from '../support/sessiond.ts';

describe('a daemon on a full disk', () => {
  let home: Sessiond;
  beforeEach(() => {
    home = new Sessiond();
  });
  afterEach(() => home.end());

  it('goes on when neither its log nor its standard error takes a line', async function () {
    if (!existsSync('/dev/full')) this.skip();
    writeFileSync(path.join(home.home, 'logs'), 'no folder, so that the log can not be opened', { mode: 0o600 });
    const full = openSync('/dev/full', 'w');
    const daemon = spawn(process.execPath, [script, 'serve', '--background'], {
      env: home.env,
      stdio: ['ignore', full, full],
    });
    closeSync(full);
    await until(() => (existsSync(path.join(home.home, 'daemon.json')) ? true : null), 'the daemon');
    // Its first line is written within 100 ms, and fails; a call after that is answered by a daemon that took it.
    const since = performance.now();
    await until(async () => {
      await home.client.call('sessions_create', { title: 'x' });
      return performance.now() - since > 1000 ? true : null;
    }, 'a second of answers');
    assert.deepEqual([daemon.exitCode, daemon.signalCode], [null, null]);
  });
});

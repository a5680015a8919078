import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { consoleLog, fileLog, logInvocation, logLevel } from '../../daemon/log.ts';
import type { Invocation } from '../../shared/invocation.ts';
import { temporaryFolder } from './temporaryHome.ts';

describe('log', () => {
  const folder = temporaryFolder();
  let umask = 0;
  beforeEach(() => {
    umask = process.umask(0o022);
  });
  afterEach(() => {
    process.umask(umask);
  });
  const logs = () => join(folder.path, 'logs');
  const file = () => join(logs(), 'daemon.log');
  const lines = (): Record<string, unknown>[] =>
    readFileSync(file(), 'utf8')
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line));

  it('has every line in its file once it is closed, for the owner alone', async () => {
    const { log, close } = fileLog(logs(), 'info');
    for (let n = 0; n < 1000; n++) log.info({ n }, 'line');
    log.debug('not this one');
    log.error({ err: new Error('outer', { cause: new Error('inner') }) }, 'failed');
    await close();
    log.info('too late');
    await close();
    const written = lines();
    assert.equal(written.length, 1001);
    assert.equal(written[999]?.n, 999);
    assert.equal(written[0]?.level, 'info');
    assert.match(String(written[0]?.time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.match(JSON.stringify(written[1000]), /outer.*inner/);
    assert.equal(statSync(file()).mode & 0o777, 0o600);
  });

  it('keeps as many older files as it was told to, each for the owner alone', async () => {
    const { log, close } = fileLog(logs(), 'info', { size: '40K', keep: 2 });
    for (let n = 0; n < 1000; n++) log.info({ n }, 'x'.repeat(100));
    await close();
    assert.deepEqual(readdirSync(logs()).sort(), ['daemon.log', 'daemon.log.1', 'daemon.log.2']);
    for (const name of readdirSync(logs())) {
      const { mode, size } = statSync(join(logs(), name));
      assert.equal(mode & 0o777, 0o600);
      // Lines are written up to 16 KiB at a time, and a file ends with the write that fills it.
      assert.ok(size < 57 * 1024, `${name} has ${size} bytes`);
    }
  });

  it('never ends the process when the file can not be written', () => {
    writeFileSync(logs(), 'in the way');
    const code = `import { fileLog } from ${JSON.stringify(join(import.meta.dirname, '../../daemon/log.ts'))};
      const { log, close } = fileLog(process.argv[1], 'info');
      log.info('a'); await new Promise(r => setTimeout(r, 200)); log.info('b'); await close(); console.log('alive');`;
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', code, logs()], {
      encoding: 'utf8',
    });
    assert.equal(status, 0, stderr);
    assert.equal(stdout, 'alive\n');
    assert.match(stderr, /^sessiond: the log in .* can't be written: /);
  });

  it('has the session_id in the line of each invocation, and what failed as a warning', async () => {
    const { log, close } = fileLog(logs(), 'info');
    const one = {
      invocation_id: 'i',
      session_id: 's',
      attribution: 'meta',
      server: 'git',
      tool: 'status',
      duration_ms: 1.5,
    };
    logInvocation(log, { ...one, status: 'failed', error_message: 'no repository' } as Invocation);
    logInvocation(log, { ...one, status: 'completed', error_message: null } as Invocation);
    await close();
    const [failed, completed] = lines();
    assert.equal(failed?.session_id, 's');
    assert.equal(failed?.level, 'warn');
    assert.equal(failed?.error_message, 'no repository');
    assert.equal(completed?.level, 'info');
    assert.equal(completed?.session_id, 's');
  });

  it('never has a token in it', async () => {
    const { log, close } = fileLog(logs(), 'info');
    log.info({ token: 'hush', request: { authorization: 'hush' }, server: { env: { KEY: 'hush' } } }, 'x');
    await close();
    assert.equal(readFileSync(file(), 'utf8').includes('hush'), false);
  });

  it('is one line for a person, without what would steer the terminal', () => {
    const said: string[] = [];
    const log = consoleLog('info', text => said.push(text));
    log.info({ port: 1, tool: 'a\u001b[31m\u202eb\nc' }, 'listening');
    log.debug('not this one');
    assert.equal(said.length, 1);
    assert.match(said[0] ?? '', /^\d\d:\d\d:\d\d\.\d{3} info {2}listening port=1 tool=ab c\n$/);
    log.error({ err: new Error('boom') }, 'failed');
    assert.match(said[1] ?? '', /error failed\nError: boom\n {4}at /);
  });

  it('has the level of SESSIOND_LOG, and info for one that is unknown', () => {
    assert.equal(logLevel({ SESSIOND_LOG: 'DEBUG' }), 'debug');
    assert.equal(logLevel({ SESSIOND_LOG: 'loud' }), 'info');
    assert.equal(logLevel({}), 'info');
  });

  it('goes on in the file that it finds', async () => {
    mkdirSync(logs());
    for (const text of ['one', 'two']) {
      const { log, close } = fileLog(logs(), 'info');
      log.info(text);
      await close();
    }
    assert.deepEqual(
      lines().map(line => line.msg),
      ['one', 'two'],
    );
    rmSync(logs(), { recursive: true });
  });
});

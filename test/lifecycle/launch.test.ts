import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { daemonEnvironment } from '../../daemon/lifecycle/daemonEnvironment.ts';
import { type Discovery, writeDiscovery } from '../../daemon/lifecycle/discovery.ts';
import { findDaemon } from '../../daemon/lifecycle/handshake.ts';
import { type HomePaths, openHome } from '../../daemon/lifecycle/home.ts';
import { ensureDaemon } from '../../daemon/lifecycle/launch.ts';
import { stopDaemon } from '../../daemon/lifecycle/stop.ts';
import { temporaryFolder, until } from './temporaryHome.ts';

const fixture = join(import.meta.dirname, 'fixtureDaemon.ts');
const command = (...args: string[]) => ({ file: process.execPath, args: [fixture, ...args], env: process.env });

describe('launch', () => {
  let paths: HomePaths;
  const folder = temporaryFolder(async home => {
    // Only one that holds the lock gets into the list; a fixture that did not has ended by itself.
    const found = await findDaemon(openHome(home));
    if (found !== null && starts().some(line => line.startsWith(`${found.pid} `))) process.kill(found.pid, 'SIGKILL');
  });
  beforeEach(() => {
    paths = openHome(folder.path);
  });
  const starts = () => {
    const file = join(paths.home, 'started');
    return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
  };

  it('starts a daemon, finds it the second time, and stops it', async () => {
    const first = await ensureDaemon(paths, command());
    assert.deepEqual(await ensureDaemon(paths, command()), first);
    assert.equal(starts().length, 1);
    assert.deepEqual(await stopDaemon(paths), { outcome: 'stopped', pid: first.pid });
    assert.equal(existsSync(paths.discovery), false);
    assert.deepEqual(await stopDaemon(paths), { outcome: 'not_running' });
  });

  it('gives a daemon that was started again the same port and token, and another instance_id', async () => {
    const first = await ensureDaemon(paths, command());
    process.kill(first.pid, 'SIGKILL');
    await until('its end', async () => (await findDaemon(paths)) === null);
    const second = await ensureDaemon(paths, command());
    assert.equal(second.port, first.port);
    assert.equal(second.token, first.token);
    assert.notEqual(second.instance_id, first.instance_id);
  });

  it('ends with one daemon when many ask at once', async () => {
    const all = await Promise.all(Array.from({ length: 8 }, () => ensureDaemon(paths, command())));
    assert.equal(new Set(all.map(found => found.instance_id)).size, 1);
    const losers = () => readFileSync(join(paths.home, 'lost'), 'utf8').trim().split('\n');
    await until('the end of the others', () => existsSync(join(paths.home, 'lost')) && losers().length === 7);
    assert.equal(starts().length, 1);
  });

  it('starts a daemon that outlives the process that asked', async () => {
    const asker = spawn(
      process.execPath,
      [
        '--input-type=module',
        '-e',
        `import { ensureDaemon } from ${JSON.stringify(join(import.meta.dirname, '../../daemon/lifecycle/launch.ts'))};
         import { openHome } from ${JSON.stringify(join(import.meta.dirname, '../../daemon/lifecycle/home.ts'))};
         const { pid } = await ensureDaemon(openHome(process.argv[1]), { file: process.execPath, args: [process.argv[2]], env: process.env });
         console.log(pid);`,
        paths.home,
        fixture,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'], detached: true },
    );
    let said = '';
    asker.stdout.on('data', text => {
      said += text;
    });
    const [code] = await once(asker, 'exit');
    assert.equal(code, 0);
    assert.throws(
      () => process.kill(-(asker.pid ?? 0), 'SIGHUP'),
      { code: 'ESRCH' },
      'it is in the group of the asker',
    );
    assert.equal((await findDaemon(paths))?.pid, Number(said));
  });

  it('tells the last line that a daemon wrote before it failed', async () => {
    await assert.rejects(ensureDaemon(paths, command('--broken')), {
      code: 'unavailable',
      message: `the daemon of ${paths.home} did not start, it ended with status 70: sessiond: the fixture is broken: mend it; see ${paths.logs}`,
    });
  });

  it('tells the error of a daemon that throws, not the stack below it', async () => {
    const throwing = { file: process.execPath, args: ['-e', 'throw new Error("no luck")'], env: process.env };
    await assert.rejects(ensureDaemon(paths, throwing), {
      code: 'unavailable',
      message: /status 1: Error: no luck; see/,
    });
  });

  it('tells of a program that is not there', async () => {
    const missing = { file: join(folder.path, 'nothing'), args: [], env: process.env };
    await assert.rejects(ensureDaemon(paths, missing), { code: 'unavailable', message: /nothing ENOENT/ });
  });

  it('gives up on a daemon that never shows itself, and on one that always finds another', async () => {
    const idle = { file: process.execPath, args: ['-e', 'setTimeout(() => {}, 1200)'], env: process.env };
    await assert.rejects(ensureDaemon(paths, idle, 300), { code: 'unavailable', message: /gave no sign in 300 ms/ });
    const shy = { file: process.execPath, args: ['-e', ''], env: process.env };
    await assert.rejects(ensureDaemon(paths, shy, 1500), { code: 'unavailable', message: /gave no sign in 1500 ms/ });
  });

  for (const state of ['empty', 'garbage', 'live pid', 'impostor', 'symlink'])
    it(`starts a daemon where an earlier one left this behind: ${state}`, async () => {
      const impostor = createServer((_, response) => response.end('{}'));
      await new Promise<void>(resolve => impostor.listen(0, '127.0.0.1', resolve));
      const left: Discovery = {
        pid: process.pid,
        port: state === 'impostor' ? (impostor.address() as AddressInfo).port : 1,
        socket: 'x',
        token: 'x',
        version: '0',
        protocol: 1,
        instance_id: 'x',
      };
      const victim = join(folder.path, 'victim');
      if (state === 'empty') writeFileSync(paths.discovery, '');
      else if (state === 'garbage') writeFileSync(paths.discovery, '{"pid": 12');
      else if (state !== 'symlink') writeDiscovery(paths, left);
      else {
        writeFileSync(victim, 'precious');
        symlinkSync(victim, paths.discovery);
      }
      try {
        const found = await ensureDaemon(paths, command());
        assert.notEqual(found.pid, process.pid);
        if (state === 'symlink') assert.equal(readFileSync(victim, 'utf8'), 'precious');
      } finally {
        impostor.close();
        impostor.closeAllConnections();
      }
    });

  it('says so when a daemon does not stop, and does not kill it', async () => {
    const { pid } = await ensureDaemon(paths, command('--stubborn'));
    assert.deepEqual(await stopDaemon(paths, 200), { outcome: 'still_running', pid });
    assert.equal((await findDaemon(paths))?.pid, pid);
  });

  it('never signals a process that only has the pid of a daemon', async () => {
    const bystander = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60000)']);
    const ended = once(bystander, 'exit');
    try {
      assert.ok(bystander.pid);
      writeDiscovery(paths, {
        pid: bystander.pid,
        port: 1,
        socket: 'x',
        token: 'x',
        version: '0',
        protocol: 1,
        instance_id: 'x',
      });
      assert.deepEqual(await stopDaemon(paths), { outcome: 'not_running' });
      assert.equal(bystander.exitCode ?? bystander.signalCode, null);
    } finally {
      bystander.kill('SIGKILL');
      await ended;
    }
  });

  it('does not pass on secrets, session variables or Node options', async () => {
    const env = {
      ...process.env,
      AWS_SECRET_ACCESS_KEY: 'x',
      CLAUDE_CODE_SESSION_ID: 'x',
      NODE_OPTIONS: '--no-warnings',
      LC_ALL: 'C.UTF-8',
    };
    await ensureDaemon(paths, { ...command(), env });
    const names = starts()[0]?.split(' ')[1]?.split(',') ?? [];
    assert.ok(names.includes('PATH') && names.includes('SESSIOND_HOME') && names.includes('LC_ALL'), names.join());
    for (const name of ['AWS_SECRET_ACCESS_KEY', 'CLAUDE_CODE_SESSION_ID', 'NODE_OPTIONS'])
      assert.equal(names.includes(name), false, name);
    assert.deepEqual(daemonEnvironment({ Path: 'x', SECRET: 'y' }, '/h'), { Path: 'x', SESSIOND_HOME: '/h' });
  });
});

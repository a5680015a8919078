import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { acquireLock } from '../../daemon/lifecycle/lock.ts';
import { temporaryFolder } from './temporaryHome.ts';

const holder = join(import.meta.dirname, 'lockHolder.ts');

describe('lock', () => {
  const folder = temporaryFolder();
  const children: ChildProcess[] = [];
  const path = () => join(folder.path, 'daemon.lock');

  /** Starts so many processes, lets them all go at once, and tells what each says. */
  async function race(count: number): Promise<{ child: ChildProcess; said: string }[]> {
    const all = Array.from({ length: count }, () =>
      spawn(process.execPath, [holder, path()], { stdio: ['pipe', 'pipe', 'inherit'] }),
    );
    children.push(...all);
    await Promise.all(all.map(child => once(child.stdout, 'data')));
    const answers = all.map(async child => {
      const [text] = await once(child.stdout, 'data');
      return { child, said: String(text).trim() };
    });
    for (const child of all) child.stdin.write('go\n');
    return Promise.all(answers);
  }
  async function contend(): Promise<{ child: ChildProcess; said: string }> {
    const [only] = await race(1);
    assert.ok(only);
    return only;
  }
  async function kill(child: ChildProcess): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, 'exit');
    child.kill('SIGKILL');
    await exit;
  }
  afterEach(async () => {
    await Promise.all(children.splice(0).map(kill));
  });

  it('is held against another process until it is released', async () => {
    const lock = acquireLock(path());
    assert.ok(lock);
    assert.equal((await contend()).said, 'taken');
    lock.release();
    assert.equal((await contend()).said, 'held');
  });

  it('is held against this process too, and trying does not let go of it', async () => {
    const lock = acquireLock(path());
    assert.equal(acquireLock(path()), null);
    assert.equal((await contend()).said, 'taken');
    lock?.release();
  });

  it('is free again when its holder is killed', async () => {
    const { child, said } = await contend();
    assert.equal(said, 'held');
    assert.equal(acquireLock(path()), null);
    await kill(child);
    const lock = acquireLock(path());
    assert.ok(lock);
    lock.release();
  });

  it('goes to exactly one of twenty that race for it', async () => {
    const all = await race(20);
    assert.equal(all.filter(({ said }) => said === 'held').length, 1);
  });

  it('goes to exactly one of twenty that find garbage in its file', async () => {
    writeFileSync(path(), 'garbage '.repeat(1000));
    const all = await race(20);
    assert.equal(all.filter(({ said }) => said === 'held').length, 1);
  });

  it('stays held when its file is overwritten with garbage', async () => {
    const { said } = await contend();
    assert.equal(said, 'held');
    writeFileSync(path(), 'garbage '.repeat(1000));
    assert.equal((await contend()).said, 'taken');
  });

  it('makes a file that its owner alone can use', () => {
    const lock = acquireLock(path());
    assert.equal(statSync(path()).mode & 0o077, 0);
    lock?.release();
  });

  it('notices that its file was removed or replaced', () => {
    const lock = acquireLock(path());
    assert.equal(lock?.isIntact(), true);
    renameSync(path(), `${path()}.away`);
    assert.equal(lock?.isIntact(), false);
    writeFileSync(path(), '');
    assert.equal(lock?.isIntact(), false);
    lock?.release();
  });

  it('refuses a symlink and leaves what it points to alone', () => {
    const victim = join(folder.path, 'victim');
    writeFileSync(victim, 'precious');
    symlinkSync(victim, path());
    assert.throws(() => acquireLock(path()), { code: 'insecure_home', message: /daemon.lock is a symlink: remove it/ });
    assert.equal(readFileSync(victim, 'utf8'), 'precious');
    rmSync(victim);
    assert.throws(() => acquireLock(path()), { code: 'insecure_home' });
    assert.equal(existsSync(victim), false);
  });

  it('refuses a folder', () => {
    mkdirSync(path());
    assert.throws(() => acquireLock(path()), { code: 'insecure_home', message: /daemon.lock is a folder/ });
  });
});

import assert from 'node:assert/strict';
import { chmodSync, chownSync, existsSync, mkdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { homePaths, openHome, openSocketFolder, resolveHome, shellQuote } from '../../daemon/lifecycle/home.ts';
import { temporaryFolder } from './temporaryHome.ts';

describe('home', () => {
  const folder = temporaryFolder();

  it('is SESSIOND_HOME, with ~ for the home of the user, else ~/.sessiond', () => {
    assert.equal(resolveHome({ SESSIOND_HOME: folder.path }), folder.path);
    assert.equal(resolveHome({ SESSIOND_HOME: '~/somewhere' }), join(homedir(), 'somewhere'));
    assert.equal(resolveHome({ SESSIOND_HOME: '' }), join(homedir(), '.sessiond'));
    assert.equal(resolveHome({}), join(homedir(), '.sessiond'));
  });

  it('refuses a relative SESSIOND_HOME, which would be another folder for each working directory', () => {
    assert.throws(() => resolveHome({ SESSIOND_HOME: 'some/where' }), {
      code: 'insecure_home',
      message: 'SESSIOND_HOME is "some/where": give an absolute path',
    });
  });

  it('is made with all its parents, for its owner alone, whatever the umask', () => {
    const home = join(folder.path, 'a', 'b');
    const umask = process.umask(0o022);
    try {
      openHome(home);
    } finally {
      process.umask(umask);
    }
    assert.equal(statSync(home).mode & 0o777, 0o700);
    assert.equal(openHome(home).home, home);
  });

  it('refuses a mode that lets others in, with the command that mends it', () => {
    const home = join(folder.path, "it's mine");
    mkdirSync(home);
    chmodSync(home, 0o750);
    const quoted = `'${folder.path}/it'\\''s mine'`;
    assert.throws(() => openHome(home), {
      code: 'insecure_home',
      message: `${home} has mode 750, open to other users: chmod 700 ${quoted}`,
    });
    chmodSync(home, 0o700);
    openHome(home);
  });

  it('refuses a symlink, also to a good folder', () => {
    const home = join(folder.path, 'link');
    mkdirSync(join(folder.path, 'real'), { mode: 0o700 });
    symlinkSync(join(folder.path, 'real'), home);
    assert.throws(() => openHome(home), { code: 'insecure_home', message: /link is a symlink: set SESSIOND_HOME/ });
    rmSync(join(folder.path, 'real'), { recursive: true });
    assert.throws(() => openHome(home), { code: 'insecure_home', message: /link is a symlink/ });
    assert.equal(existsSync(join(folder.path, 'real')), false);
  });

  it('refuses a file', () => {
    const home = join(folder.path, 'file');
    writeFileSync(home, '');
    assert.throws(() => openHome(home), { code: 'insecure_home', message: /file is not a folder/ });
  });

  it('refuses a folder of another user', function () {
    if (process.geteuid?.() !== 0) this.skip();
    const home = join(folder.path, 'theirs');
    mkdirSync(home, { mode: 0o700 });
    chownSync(home, 65_534, 65_534);
    assert.throws(() => openHome(home), {
      code: 'insecure_home',
      message: `${home} belongs to user 65534, this is user 0: run sessiond as its owner, or: chown -R 0 ${home}`,
    });
  });

  it('has its socket in the home when the path fits, else in a private folder elsewhere', function () {
    if (process.platform === 'win32') this.skip();
    assert.equal(homePaths('/h').socket, '/h/daemon.sock');
    const paths = homePaths(join(folder.path, 'x'.repeat(90)));
    assert.ok(Buffer.byteLength(paths.socket) <= 100, paths.socket);
    assert.notEqual(dirname(paths.socket), paths.home);
    assert.notEqual(paths.socket, homePaths(join(folder.path, 'y'.repeat(90))).socket);
    const socketFolder = dirname(paths.socket);
    try {
      openSocketFolder(paths);
      assert.equal(statSync(socketFolder).mode & 0o777, 0o700);
      chmodSync(socketFolder, 0o755);
      assert.throws(() => openSocketFolder(paths), { code: 'insecure_home', message: /has mode 755/ });
    } finally {
      rmSync(socketFolder, { recursive: true });
    }
  });

  it('quotes what a shell would take apart', () => {
    assert.equal(shellQuote('/plain/path-1.x'), '/plain/path-1.x');
    assert.equal(shellQuote('a b'), "'a b'");
    assert.equal(shellQuote("it's $(x)"), "'it'\\''s $(x)'");
  });
});

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type HomePaths, openHome } from '../../daemon/lifecycle/home.ts';
import { writeLauncher } from '../../daemon/lifecycle/launcher.ts';
import { temporaryFolder } from './temporaryHome.ts';

const PRINT =
  'console.log(JSON.stringify([process.argv.slice(2), process.env.ELECTRON_RUN_AS_NODE ?? null, process.env.SESSIOND_HOME]))';

describe('launcher', () => {
  const folder = temporaryFolder();
  let paths: HomePaths;
  let script: string;
  beforeEach(() => {
    const odd = join(folder.path, `it's "a" $HOME folder \`x\``);
    paths = openHome(join(odd, 'home'));
    script = join(odd, 'script é.cjs');
    writeFileSync(script, PRINT);
  });
  const launcher = () => join(paths.bin, 'sessiond');
  const run = (...args: string[]): unknown =>
    JSON.parse(execFileSync(launcher(), args, { encoding: 'utf8', env: { PATH: '/usr/bin:/bin' } }));

  it('runs the script with its arguments, whatever is in the paths and the arguments', function () {
    if (process.platform === 'win32') this.skip();
    writeLauncher(paths, { execPath: process.execPath, script });
    const args = ['a b', `it's`, '$HOME', '', '*', '--flag=é'];
    assert.deepEqual(run(...args), [args, null, paths.home]);
    assert.equal(statSync(launcher()).mode & 0o777, 0o700);
  });

  it('has an Electron program act as Node', function () {
    if (process.platform === 'win32') this.skip();
    const execPath = join(folder.path, 'Code Helper (Plugin)');
    symlinkSync(process.execPath, execPath);
    writeLauncher(paths, { execPath, script });
    assert.deepEqual(run('x'), [['x'], '1', paths.home]);
    assert.match(readFileSync(join(paths.bin, 'sessiond.cmd'), 'utf8'), /set "ELECTRON_RUN_AS_NODE=1"\r\n/);
  });

  it('is written again only when it has to be', () => {
    const target = { execPath: process.execPath, script };
    assert.equal(writeLauncher(paths, target), true);
    const before = statSync(launcher()).ino;
    assert.equal(writeLauncher(paths, target), false);
    assert.equal(statSync(launcher()).ino, before);
    const moved = join(folder.path, 'moved.cjs');
    copyFileSync(script, moved);
    assert.equal(writeLauncher(paths, { ...target, script: moved }), true);
    assert.ok(readFileSync(launcher(), 'utf8').includes(moved));
  });

  it('gets its mode back', function () {
    if (process.platform === 'win32') this.skip();
    writeLauncher(paths, { execPath: process.execPath, script });
    chmodSync(launcher(), 0o600);
    writeLauncher(paths, { execPath: process.execPath, script });
    assert.deepEqual(run('x'), [['x'], null, paths.home]);
  });

  it('replaces a symlink in its place and leaves the target alone', () => {
    const victim = join(folder.path, 'victim');
    writeFileSync(victim, 'precious');
    mkdirSync(paths.bin);
    symlinkSync(victim, launcher());
    writeLauncher(paths, { execPath: process.execPath, script });
    assert.equal(readFileSync(victim, 'utf8'), 'precious');
    assert.match(readFileSync(launcher(), 'utf8'), /^#!\/bin\/sh\n/);
  });

  it('says what to do when the script is gone', function () {
    if (process.platform === 'win32') this.skip();
    writeLauncher(paths, { execPath: process.execPath, script: '/nowhere/sessiond.js' });
    const { status, stderr } = spawnSync(launcher(), ['list'], { encoding: 'utf8' });
    assert.equal(status, 127);
    assert.match(stderr, /^sessiond: \/nowhere\/sessiond\.js is gone: .*once\n$/);
  });

  it('doubles percent signs for cmd.exe, ends lines with CRLF, and takes UTF-8 only where it must', () => {
    writeLauncher(paths, { execPath: 'C:\\Program Files\\node.exe', script: 'C:\\100% mine\\sessiond.js' });
    const plain = readFileSync(join(paths.bin, 'sessiond.cmd'), 'utf8');
    assert.ok(plain.endsWith('"C:\\Program Files\\node.exe" "C:\\100%% mine\\sessiond.js" %*\r\n'), plain);
    assert.equal(/ELECTRON|chcp/.test(plain), false);
    assert.equal(plain.replaceAll('\r\n', '').includes('\n'), false);
    writeLauncher(paths, { execPath: 'C:\\Jürgen\\node.exe', script: 'C:\\s.js' });
    assert.match(readFileSync(join(paths.bin, 'sessiond.cmd'), 'utf8'), /chcp 65001/);
  });
});

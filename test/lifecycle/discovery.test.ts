import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type Discovery, readDiscovery, removeDiscovery, writeDiscovery } from '../../daemon/lifecycle/discovery.ts';
import { findDaemon, healthAnswer } from '../../daemon/lifecycle/handshake.ts';
import { type HomePaths, openHome } from '../../daemon/lifecycle/home.ts';
import { keptToken } from '../../daemon/lifecycle/token.ts';
import { sweepTemporary } from '../../daemon/lifecycle/wholeFile.ts';
import { temporaryFolder } from './temporaryHome.ts';

const sample: Discovery = {
  pid: process.pid,
  port: 1,
  socket: '/nowhere/daemon.sock',
  token: 'secret',
  version: '1.2.3',
  protocol: 1,
  instance_id: 'one',
};

describe('discovery', () => {
  const folder = temporaryFolder();
  let paths: HomePaths;
  beforeEach(() => {
    paths = openHome(folder.path);
  });

  it('is read as it was written, from a file for the owner alone', () => {
    writeDiscovery(paths, sample);
    assert.deepEqual(readDiscovery(paths), sample);
    assert.equal(statSync(paths.discovery).mode & 0o777, 0o600);
    assert.deepEqual(readdirSync(folder.path), ['daemon.json']);
  });

  for (const [what, content] of Object.entries({
    'an empty file': '',
    'half a file': '{"pid": 12',
    'another shape': '[1]',
    null: 'null',
    'a missing member': JSON.stringify({ pid: 1, port: 1, token: 'x', version: '0' }),
    'a port that is none': JSON.stringify({ ...sample, port: 70_000 }),
    'a pid that means a group of processes': JSON.stringify({ ...sample, pid: -1 }),
    'far too much': JSON.stringify({ ...sample, version: 'x'.repeat(100_000) }),
  }))
    it(`is none when the file holds ${what}`, () => {
      writeFileSync(paths.discovery, content);
      assert.equal(readDiscovery(paths), null);
    });

  it('is none when it is a symlink, and writing replaces the link, not its target', () => {
    const victim = join(folder.path, 'victim');
    writeFileSync(victim, JSON.stringify(sample));
    symlinkSync(victim, paths.discovery);
    assert.equal(readDiscovery(paths), null);
    writeDiscovery(paths, { ...sample, instance_id: 'two' });
    assert.equal(readFileSync(victim, 'utf8'), JSON.stringify(sample));
    assert.equal(lstatSync(paths.discovery).isSymbolicLink(), false);
    assert.equal(readDiscovery(paths)?.instance_id, 'two');
  });

  it('is none, and nobody waits, when it is a pipe or a folder', function () {
    if (process.platform === 'win32') this.skip();
    execFileSync('mkfifo', [paths.discovery]);
    assert.equal(readDiscovery(paths), null);
    assert.equal(readDiscovery({ ...paths, discovery: folder.path }), null);
  });

  it('is none when others can write it or it belongs to another user', function () {
    if (process.geteuid?.() !== 0) this.skip();
    writeDiscovery(paths, sample);
    chmodSync(paths.discovery, 0o620);
    assert.equal(readDiscovery(paths), null);
    chmodSync(paths.discovery, 0o600);
    chownSync(paths.discovery, 65_534, 65_534);
    assert.equal(readDiscovery(paths), null);
  });

  it('is removed by its own instance only', () => {
    writeDiscovery(paths, { ...sample, instance_id: 'two' });
    removeDiscovery(paths, 'one');
    assert.ok(existsSync(paths.discovery));
    removeDiscovery(paths, 'two');
    assert.equal(existsSync(paths.discovery), false);
  });

  it('leaves no temporary file for good when a write was killed', () => {
    const old = join(folder.path, '.daemon.json.0123456789abcdef.tmp');
    const fresh = join(folder.path, '.daemon.json.0123456789abcdee.tmp');
    for (const file of [old, fresh, join(folder.path, '.other.tmp')]) writeFileSync(file, '');
    utimesSync(old, 1, 1);
    sweepTemporary(folder.path);
    assert.deepEqual(readdirSync(folder.path), ['.daemon.json.0123456789abcdee.tmp', '.other.tmp']);
  });

  it('cleans up after a write that fails', () => {
    mkdirSync(join(paths.discovery, 'full'), { recursive: true });
    assert.throws(() => writeDiscovery(paths, sample));
    assert.deepEqual(readdirSync(folder.path), ['daemon.json']);
  });
});

describe('token', () => {
  const folder = temporaryFolder();

  it('is made once, with 256 random bits, in a file for the owner alone', () => {
    const paths = openHome(folder.path);
    const token = keptToken(paths);
    assert.match(token, /^[A-Za-z0-9_-]{43}$/);
    assert.equal(keptToken(paths), token);
    assert.equal(statSync(paths.token).mode & 0o777, 0o600);
  });

  it('is made again when its file is damaged or a symlink, whose target is left alone', () => {
    const paths = openHome(folder.path);
    writeFileSync(paths.token, 'short');
    assert.match(keptToken(paths), /^[A-Za-z0-9_-]{43}$/);
    const theirs = 'A'.repeat(43);
    const link = { ...paths, token: join(folder.path, 'link') };
    writeFileSync(join(folder.path, 'theirs'), theirs);
    symlinkSync(join(folder.path, 'theirs'), link.token);
    assert.notEqual(keptToken(link), theirs);
    assert.equal(readFileSync(join(folder.path, 'theirs'), 'utf8'), theirs);
  });
});

describe('handshake', () => {
  const folder = temporaryFolder();
  const servers: Server[] = [];
  let paths: HomePaths;
  beforeEach(() => {
    paths = openHome(folder.path);
  });
  afterEach(() => {
    for (const server of servers.splice(0)) {
      server.close();
      server.closeAllConnections();
    }
  });

  async function serve(listener: RequestListener): Promise<Discovery> {
    const server = createServer(listener);
    servers.push(server);
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
    const discovery = { ...sample, port: (server.address() as AddressInfo).port };
    writeDiscovery(paths, discovery);
    return discovery;
  }
  const nonceOf = (url = '/') => new URL(url, 'http://localhost').searchParams.get('nonce');

  it('finds the daemon that knows the token', async () => {
    const discovery = await serve((request, response) =>
      response.end(JSON.stringify(healthAnswer(discovery, nonceOf(request.url)))),
    );
    assert.deepEqual(await findDaemon(paths), discovery);
  });

  it('asks for a proof over a new nonce each time', async () => {
    const nonces: (string | null)[] = [];
    await serve((request, response) => {
      nonces.push(nonceOf(request.url));
      response.end('{}');
    });
    await findDaemon(paths);
    await findDaemon(paths);
    assert.equal(new Set(nonces).size, 2);
    for (const nonce of nonces) assert.match(nonce ?? '', /^[0-9a-f]{64}$/);
  });

  const impostors: Record<string, (discovery: Discovery, nonce: string | null) => unknown> = {
    'says {} to everything': () => ({}),
    'knows all but the token': (discovery, nonce) => healthAnswer({ ...discovery, token: 'guess' }, nonce),
    'plays back an earlier proof': discovery => healthAnswer(discovery, '00'.repeat(32)),
    'gives no proof': discovery => healthAnswer(discovery, null),
    'is a later daemon of this home': (discovery, nonce) =>
      healthAnswer({ ...discovery, instance_id: 'another' }, nonce),
    'has another pid': (discovery, nonce) => healthAnswer({ ...discovery, pid: 4 }, nonce),
    'sends far more than an answer': (discovery, nonce) => ({
      ...healthAnswer(discovery, nonce),
      more: 'x'.repeat(1_000_000),
    }),
  };
  for (const [what, answer] of Object.entries(impostors))
    it(`does not believe a program at the port that ${what}`, async () => {
      const discovery = await serve((request, response) =>
        response.end(JSON.stringify(answer(discovery, nonceOf(request.url)))),
      );
      assert.equal(await findDaemon(paths), null);
    });

  it('does not wait long for a program that never answers, nor for one that never ends its answer', async () => {
    for (const listener of [
      () => undefined,
      (_: unknown, response: { write(text: string): void }) => response.write('{'),
    ]) {
      await serve(listener);
      const begin = performance.now();
      assert.equal(await findDaemon(paths), null);
      assert.ok(performance.now() - begin < 2500);
    }
  });

  it('finds nothing when no file is there or nobody listens', async () => {
    assert.equal(await findDaemon(paths), null);
    const { port } = await serve(() => undefined);
    for (const server of servers.splice(0)) await new Promise(resolve => server.close(resolve));
    writeDiscovery(paths, { ...sample, port });
    assert.equal(await findDaemon(paths), null);
  });
});

import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { type HomePaths, openHome } from '../../daemon/lifecycle/home.ts';
import { listenOnKeptPort } from '../../daemon/lifecycle/port.ts';
import { temporaryFolder } from './temporaryHome.ts';

describe('port', () => {
  const folder = temporaryFolder();
  let servers: Server[] = [];
  let paths: HomePaths;
  beforeEach(() => {
    paths = openHome(folder.path);
  });
  afterEach(async () => {
    await closeAll();
  });

  async function closeAll(): Promise<void> {
    await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))));
    servers = [];
  }
  function listen(port: number): Promise<number> {
    const server = createServer();
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', () => {
        servers.push(server);
        resolve((server.address() as AddressInfo).port);
      });
    });
  }

  it('is chosen by the system once and kept', async () => {
    const first = await listenOnKeptPort(paths, 0, listen);
    assert.equal(readFileSync(paths.port, 'utf8'), `${first}\n`);
    assert.equal(statSync(paths.port).mode & 0o777, 0o600);
    await closeAll();
    assert.equal(await listenOnKeptPort(paths, 0, listen), first);
  });

  it('is another one from then on when another program has taken the kept one', async () => {
    const taken = await listen(0);
    writeFileSync(paths.port, `${taken}\n`);
    const port = await listenOnKeptPort(paths, 0, listen, 60);
    assert.notEqual(port, taken);
    assert.equal(readFileSync(paths.port, 'utf8'), `${port}\n`);
  });

  it('stays the kept one when that is free a moment later', async () => {
    const taken = await listen(0);
    writeFileSync(paths.port, `${taken}\n`);
    let tries = 0;
    const port = await listenOnKeptPort(paths, 0, async wanted => {
      if (++tries === 3) await closeAll();
      return listen(wanted);
    });
    assert.equal(port, taken);
  });

  it('is an error that names it when the configured one is taken', async () => {
    const taken = await listen(0);
    await assert.rejects(listenOnKeptPort(paths, taken, listen, 60), {
      code: 'unavailable',
      message: `port ${taken} of ${paths.config} is taken by another program: end that one, or change "port", or leave it out to have one chosen`,
    });
  });

  it('is chosen anew when its file is garbage', async () => {
    writeFileSync(paths.port, 'x99');
    assert.ok((await listenOnKeptPort(paths, 0, listen)) > 0);
  });
});

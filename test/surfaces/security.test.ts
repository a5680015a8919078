import assert from 'node:assert/strict';
import { type IncomingHttpHeaders, request } from 'node:http';
import { connect } from 'node:net';
import type { Operation } from '../../shared/operation.ts';
import { operations } from '../../shared/operations/table.ts';
import { openWorld, type World } from './world.ts';

interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

const routes = [
  ...Object.values<Operation>(operations).map(({ method, path }) => ({ method, path: path.replace(/:\w+/g, 'x') })),
  ...['/openapi.json', '/health', '/metrics', '/events', '/', '/media/page.js', '/nowhere', '/mcp'].map(path => ({
    method: 'GET',
    path,
  })),
  { method: 'POST', path: '/page-links' },
  { method: 'OPTIONS', path: '/sessions' },
  { method: 'HEAD', path: '/sessions' },
];

describe('security of the HTTP surface', () => {
  let world: World;
  let now = Date.now();
  before(async () => {
    world = await openWorld({ now: () => now });
  });
  after(() => world.close());

  /** Raw, because fetch lets nobody set Host and Origin. */
  function ask(method: string, path: string, headers: Record<string, string> = {}): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const sent = request({ host: '127.0.0.1', port: world.port, method, path, headers, agent: false }, response => {
        const chunks: Buffer[] = [];
        response.on('data', chunk => chunks.push(chunk));
        const done = () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(chunks).toString(),
          });
        // A stream of events does not end by itself.
        if (response.headers['content-type']?.startsWith('text/event-stream')) {
          done();
          response.destroy();
        }
        response.on('end', done);
      });
      sent.on('error', reject);
      sent.end();
    });
  }

  const bearer = () => ({ authorization: `Bearer ${world.token}` });

  for (const { method, path } of routes) {
    it(`${method} ${path} refuses a wrong Host, even with the token`, async () => {
      for (const host of [
        'evil.example',
        `evil.example:${world.port}`,
        '127.0.0.1:1',
        '127.0.0.1',
        `127.0.0.1.nip.io:${world.port}`,
      ]) {
        const answer = await ask(method, path, { ...bearer(), host });
        assert.equal(answer.status, 403, host);
      }
    });

    it(`${method} ${path} refuses a foreign Origin, even with the token`, async () => {
      for (const origin of [
        'https://evil.example',
        'null',
        `http://localhost:${world.port}`,
        `https://127.0.0.1:${world.port}`,
      ]) {
        const answer = await ask(method, path, { ...bearer(), origin });
        assert.equal(answer.status, 403, origin);
      }
    });

    it(`${method} ${path} gives no CORS header and the security headers`, async () => {
      const answer = await ask(method, path, { ...bearer(), origin: world.url });
      assert.deepEqual(
        Object.keys(answer.headers).filter(name => name.startsWith('access-control')),
        [],
      );
      assert.match(String(answer.headers['content-security-policy']), /default-src 'none'.*frame-ancestors 'none'/);
      assert.equal(answer.headers['x-content-type-options'], 'nosniff');
      assert.equal(answer.headers['referrer-policy'], 'no-referrer');
      assert.notEqual(answer.status, 401);
      assert.notEqual(answer.status, 403);
    });

    if (path === '/health') continue;
    it(`${method} ${path} refuses a request without the token, or with a wrong one`, async () => {
      const wrong = [
        'Bearer wrong',
        `Bearer ${world.token}x`,
        'Bearer',
        `Basic ${world.token}`,
        world.token,
        'Bearer ',
      ];
      for (const authorization of [undefined, ...wrong]) {
        const answer = await ask(method, path, authorization === undefined ? {} : { authorization });
        assert.equal(answer.status, 401, authorization);
        const isPage = path === '/' && authorization === undefined;
        if (method !== 'HEAD')
          assert.match(
            answer.body,
            isPage ? /<code>sessiond open<\/code>/ : /"code":"unauthorized".*Authorization: Bearer/,
          );
      }
    });
  }

  it('/health answers without a token, and a path that only looks like it does not', async () => {
    assert.equal((await ask('GET', '/health?nonce=abc')).status, 200);
    for (const path of ['//health', '/health/', '/health/../sessions', '/%68ealth', '/health%2f..%2fsessions'])
      assert.equal((await ask('GET', path)).status, 401, path);
  });

  it('refuses TRACE and WebSocket, and a target that is no path', async () => {
    for (const path of ['/sessions', '/nowhere']) assert.equal((await ask('TRACE', path, bearer())).status, 405);
    assert.equal(
      (await ask('GET', '/sessions', { ...bearer(), connection: 'upgrade', upgrade: 'websocket' })).status,
      400,
    );
    assert.equal((await ask('GET', `http://127.0.0.1:${world.port}/sessions`, bearer())).status, 400);
  });

  it('closes on CONNECT', async () => {
    const socket = connect(world.port, '127.0.0.1');
    socket.write('CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n');
    let text = '';
    for await (const chunk of socket) text += chunk;
    assert.ok(!text.includes(' 200 '), text);
  });

  async function pageCookie(): Promise<string> {
    const { url } = await world.client.pageLink();
    const answer = await ask('GET', url.slice(world.url.length), { 'sec-fetch-site': 'none' });
    assert.equal(answer.status, 303);
    assert.equal(answer.headers.location, '/');
    const [cookie = ''] = answer.headers['set-cookie'] ?? [];
    assert.match(cookie, /; HttpOnly; SameSite=Strict$/);
    assert.ok(!cookie.includes(world.token));
    return cookie.split(';')[0] ?? '';
  }

  it('a one-time link works once', async () => {
    const { url } = await world.client.pageLink();
    const path = url.slice(world.url.length);
    assert.equal((await ask('GET', path)).status, 303);
    const again = await ask('GET', path);
    assert.equal(again.status, 401);
    assert.match(again.body, /used already/);
    assert.equal(again.headers['set-cookie'], undefined);
  });

  it('a one-time link works for a minute only', async () => {
    const { url, expires_at } = await world.client.pageLink();
    assert.equal(Date.parse(expires_at), now + 60_000);
    now += 60_000;
    assert.equal((await ask('GET', url.slice(world.url.length))).status, 401);
  });

  it('a one-time link followed from another site gets in by a second step of its own', async () => {
    const { url } = await world.client.pageLink();
    const answer = await ask('GET', url.slice(world.url.length), { 'sec-fetch-site': 'cross-site' });
    assert.equal(answer.status, 200);
    assert.match(answer.body, /http-equiv="refresh" content="0;url=\/"/);
    assert.ok(answer.headers['set-cookie']);
  });

  it('a link is not made without the token, nor with a page cookie', async () => {
    const cookie = await pageCookie();
    assert.equal((await ask('POST', '/page-links')).status, 401);
    assert.equal((await ask('POST', '/page-links', { cookie, 'sec-fetch-site': 'same-origin' })).status, 403);
  });

  it('the cookie opens what the page needs, but only for requests that the page made', async () => {
    const cookie = await pageCookie();
    const status = async (method: string, site: string | null, path = '/sessions') =>
      (await ask(method, path, { cookie, ...(site === null ? {} : { 'sec-fetch-site': site }) })).status;
    assert.equal(await status('GET', 'same-origin'), 200);
    assert.equal(await status('GET', null), 200);
    assert.equal(await status('POST', 'same-origin'), 200);
    for (const site of ['cross-site', 'same-site']) {
      assert.equal(await status('GET', site), 403, site);
      assert.equal(await status('POST', site), 403, site);
    }
    assert.equal(await status('POST', null), 403);
    assert.equal(await status('DELETE', null, '/servers/x'), 403);
    assert.equal((await ask('GET', '/sessions', { cookie: `${cookie}x` })).status, 401);
    assert.equal((await ask('GET', '/sessions', { cookie, authorization: 'Bearer wrong' })).status, 401);
  });

  it('the cookie outlives a restart of the daemon', async () => {
    const cookie = await pageCookie();
    await world.stop();
    await world.start();
    assert.equal((await ask('GET', '/sessions', { cookie })).status, 200);
  });
});

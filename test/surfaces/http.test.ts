import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openWorld, type World } from './world.ts';

describe('the HTTP surface', () => {
  let world: World;
  before(async () => {
    world = await openWorld();
    await world.store.createSession({ session_id: 'one', title: 'One' });
  });
  after(() => world.close());

  async function told(path: string, init?: RequestInit): Promise<{ status: number; code: string; message: string }> {
    const response = await world.fetch(path, init);
    assert.equal(response.headers.get('content-type'), 'application/json; charset=utf-8');
    const { error } = await response.json();
    return { status: response.status, code: error.code, message: error.message };
  }

  const post = (body: BodyInit, type: string | null = 'application/json'): RequestInit => ({
    method: 'POST',
    body,
    headers: type === null ? {} : { 'content-type': type },
  });

  it('says where a malformed body is broken', async () => {
    const cases: [body: string, place: string][] = [
      ['{"title": }', 'line 1 column 11 (position 10)'],
      ['{\n  "title": "a",\n  oops\n}', 'line 3 column 3 (position 20)'],
      ['{"title": "a"', 'ends too early, at line 1 column 14'],
      ['abc', 'line 1 column 1 (position 0)'],
      ['{"title": "a"} x', 'line 1 column 16'],
      ['{"title": "a",}', 'line 1 column 15'],
    ];
    for (const [body, place] of cases) {
      const { status, code, message } = await told('/sessions', post(body));
      assert.deepEqual({ status, code }, { status: 400, code: 'invalid_input' }, body);
      assert.ok(message.includes(place), `${body}: ${message}`);
    }
  });

  it('refuses a body that is no JSON object, not UTF-8, or nested without end', async () => {
    for (const body of ['[]', '"text"', '1', 'null'])
      assert.match((await told('/sessions', post(body))).message, /no object/, body);
    assert.match((await told('/sessions', post(new Uint8Array([0x7b, 0xff, 0x7d])))).message, /UTF-8/);
    const deep = '['.repeat(50_000);
    assert.equal((await told('/sessions', post(`{"state":{"a":${deep}${']'.repeat(50_000)}}}`))).status, 400);
    assert.equal((await told('/sessions', post(`{"state":{"a":${deep}`))).status, 400);
  });

  it('takes JSON only', async () => {
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      'application/json; charset=latin1',
      null,
    ])
      assert.equal((await told('/sessions', post(new TextEncoder().encode('{}'), type))).status, 415, String(type));
    assert.equal((await world.fetch('/sessions', post('{}', 'application/json; charset=UTF-8'))).status, 200);
  });

  it('refuses more than 1 MiB, declared or streamed, and goes on serving', async () => {
    const big = JSON.stringify({ purpose: 'x'.repeat(5 * 1024 * 1024) });
    assert.equal((await told('/sessions', post(big))).status, 413);
    const stream = new Blob([big]).stream();
    const streamed = { ...post(stream), duplex: 'half' } as RequestInit;
    assert.equal((await told('/sessions', streamed)).status, 413);
    const fits = JSON.stringify({ state: { text: 'x'.repeat(1000 * 1000) } });
    assert.equal((await world.fetch('/sessions', post(fits))).status, 200);
  });

  it('names the field, its value and the rule', async () => {
    const cases: [body: object, parts: string[]][] = [
      [{ session_id: 'a b' }, ['session_id "a b"', 'use 1 to 64 of A-Z']],
      [{ title: '' }, ['title ""', '>=1']],
      [{ title: 5 }, ['title 5', 'expected string']],
      [{ titel: 'x' }, ['"titel" is not known here', 'title']],
      [{ expires_at: 'tomorrow' }, ['expires_at "tomorrow"', '2026-11-21T09:30:00.000Z']],
      [{ tags: ['ok', 'a\u0007'] }, ['tags[1] "a\\u0007"', 'control characters']],
      [{ user_id: 'a\nb' }, ['user_id "a\\nb"', 'control characters']],
      [{ title: 'x'.repeat(600) }, ['title "xxx', '…: ', '<=500']],
      [{ activate: true }, ['activate needs a workspace']],
      [{ activate: true, workspace: 'relative' }, ['workspace "relative"', 'absolute']],
    ];
    for (const [body, parts] of cases) {
      const { status, message } = await told('/sessions', post(JSON.stringify(body)));
      assert.equal(status, 400, message);
      for (const part of parts) assert.ok(message.includes(part), `${part} in ${message}`);
      assert.ok(message.length < 400, message);
    }
  });

  it('refuses lone surrogates and __proto__, which could not be kept', async () => {
    assert.match((await told('/sessions', post('{"title":"a\\ud800"}'))).message, /surrogate/);
    assert.match((await told('/sessions', post('{"state":{"__proto__":{"a":1}}}'))).message, /__proto__/);
    assert.match((await told('/sessions?__proto__=1')).message, /__proto__/);
  });

  it('says of a server what is wrong in the form that was meant, and never shows its secrets', async () => {
    const config = { command: 'npx', env: { KEY: 12345 } };
    const { message } = await told('/servers', post(JSON.stringify({ server: 'a', config })));
    assert.match(message, /config\.env\.KEY \(not shown\): expected string/);
    assert.ok(!message.includes('12345') && !message.includes('url'), message);
  });

  it('reads lists of a query from repeated keys, and refuses anything else twice', async () => {
    await world.store.createSession({ session_id: 'two', tags: ['x', 'y'] });
    const list = await (await world.fetch('/sessions?tags_any=x&tags_any=nothing&limit=1')).json();
    assert.deepEqual(
      list.items.map((item: { session_id: string }) => item.session_id),
      ['two'],
    );
    assert.match((await told('/sessions?limit=1&limit=2')).message, /limit is given 2 times/);
    assert.match((await told('/sessions?limit=abc')).message, /limit "abc"/);
    assert.match((await told('/sessions?limit=0')).message, /limit 0/);
    assert.match((await told('/sessions?stauts=active')).message, /"stauts" is not known here: use status/);
    assert.match((await told('/sessions?status=open')).message, /status\[0\] "open": use one of created, active/);
  });

  it('refuses a key that the path and the body name differently', async () => {
    const patch = { method: 'PATCH', headers: { 'content-type': 'application/json' } };
    const body = JSON.stringify({ session_id: 'two', title: 'x' });
    assert.equal((await told('/sessions/one', { ...patch, body })).status, 400);
    assert.match((await told('/sessions/one?title=x', { ...patch, body: '{}' })).message, /JSON body/);
  });

  it('a POST needs no body when it has nothing to say', async () => {
    const response = await world.fetch('/sessions/one/complete', { method: 'POST' });
    assert.equal((await response.json()).status, 'completed');
  });

  it('a wrong transition is a conflict that names the right ones', async () => {
    const { status, code, message } = await told('/sessions/one/complete', post('{"status":"failed"}'));
    assert.deepEqual({ status, code }, { status: 409, code: 'wrong_transition' });
    assert.match(message, /active/);
  });

  it('an unknown route is named, with where to look', async () => {
    const { status, message } = await told('/nope');
    assert.equal(status, 404);
    assert.match(message, /GET \/nope: \/openapi\.json/);
  });

  it('a wrong method is 405 with Allow', async () => {
    const response = await world.fetch('/sessions/one', { method: 'PUT' });
    assert.equal(response.status, 405);
    assert.equal(response.headers.get('allow'), 'GET, HEAD, PATCH');
  });

  it('HEAD answers as GET does, without a body', async () => {
    for (const path of ['/sessions', '/events', '/metrics']) {
      const response = await world.fetch(path, { method: 'HEAD' });
      assert.equal(response.status, 200, path);
      assert.equal(await response.text(), '');
    }
  });

  it('an unforeseen error is internal with a reference, and its cause is logged only', async () => {
    const { counts } = world.store;
    world.store.counts = () => Promise.reject(new Error('secret cause'));
    try {
      const response = await world.fetch('/daemon/status');
      const { error } = await response.json();
      assert.equal(response.status, 500);
      assert.match(error.reference, /^[0-9a-f]{8}$/);
      assert.ok(error.message.includes(error.reference) && !error.message.includes('secret'));
      assert.match(String(world.logged.at(-1)), /secret cause/);
    } finally {
      world.store.counts = counts;
    }
  });

  it('serves the page and its files, and nothing beside them', async () => {
    assert.equal((await told('/')).status, 503);
    const media = join(world.home, 'media');
    await mkdir(media);
    await writeFile(join(media, 'page.html'), '<!doctype html>page');
    await writeFile(join(media, 'page.js'), 'export {};');
    await writeFile(join(media, 'secret'), 'no type');
    await writeFile(join(world.home, 'token.js'), 'outside');
    const page = await world.fetch('/');
    assert.equal(await page.text(), '<!doctype html>page');
    assert.match(page.headers.get('content-security-policy') ?? '', /script-src 'self'/);
    assert.equal((await world.fetch('/media/page.js')).headers.get('content-type'), 'text/javascript; charset=utf-8');
    for (const name of ['secret', 'none.js', '..%2ftoken.js', '%2e%2e%2ftoken.js', '..%5ctoken.js', 'page.js%00.js'])
      assert.equal((await world.fetch(`/media/${name}`)).status, 404, name);
  });

  it('metrics are Prometheus text', async () => {
    const response = await world.fetch('/metrics');
    const text = await response.text();
    assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
    assert.match(text, /^# TYPE sessiond_sessions gauge\nsessiond_sessions [1-9]\d*$/m);
    for (const line of text.trimEnd().split('\n'))
      assert.match(line, /^(# (HELP|TYPE) \w+ .+|\w+(\{.*\})? [\d.e+-]+)$/);
  });
});

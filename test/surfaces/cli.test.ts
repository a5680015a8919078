import assert from 'node:assert/strict';
import { mkdir, realpath, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import fc from 'fast-check';
import { age, painter, plain, plainLines, safeJson } from '../../daemon/surfaces/cli/text.ts';
import { openWorld, runIn, until, type World } from './world.ts';

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not be there
const DANGEROUS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/;

const hostile =
  'a\u001b[31mred\u001b]0;title\u0007b\u001b]8;;http://evil\u001b\\link\u001b]8;;\u001b\\\u009b2Jc\u202edr\u2066x\u0000\u007f\r\nd\u001bPq#0\u001b\\e';

describe('text of records in the CLI', () => {
  it('loses terminal sequences, control characters and bidirectional marks', () => {
    assert.equal(plain(hostile), 'aredblinkcdrx de');
    assert.equal(plainLines('a\r\nb\tc\rd'), 'a\nb\tc\nd');
    assert.equal(plain('\u001b]52;c;cHduZWQ=\u0007ok'), 'ok');
    assert.equal(plain('\u001b]0;never ends'), '');
    assert.equal(plain('half \ud800 pair'), 'half \ufffd pair');
    assert.equal(plain('e\u0301 日本 👩‍👩‍👧 שלום'), 'e\u0301 日本 👩‍👩‍👧 שלום');
  });

  it('has nothing dangerous left whatever it was', () => {
    const units = fc.array(fc.nat({ max: 0xffff })).map(codes => String.fromCharCode(...codes));
    const pieces = fc.constantFrom(
      '\u001b',
      '[',
      ']',
      '0',
      ';',
      'm',
      '\u0007',
      '\u009b',
      '\u009d',
      '\\',
      '\u202e',
      'a',
      '\ud800',
      '\n',
      '\r',
      'P',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          units,
          fc.array(pieces).map(all => all.join('')),
        ),
        text => {
          assert.doesNotMatch(plainLines(text), DANGEROUS);
          assert.doesNotMatch(plain(text), /[\n\t]/);
          assert.doesNotMatch(safeJson(text), DANGEROUS);
          assert.deepEqual(JSON.parse(safeJson({ text })), { text });
        },
      ),
    );
  });

  it('takes no longer for long hostile text', () => {
    const began = performance.now();
    for (const unit of ['\u001b[', '\u001b]', '\u001b[0;', '\u009d\u001b', '\u001bP\u001b]', ';;'])
      plain(unit.repeat(200_000));
    assert.ok(performance.now() - began < 2000);
  });

  it('ages are in one unit', () => {
    const now = Date.parse('2026-11-21T12:00:00.000Z');
    const ago = (seconds: number) => age(new Date(now - seconds * 1000).toISOString(), now);
    assert.deepEqual([-5, 0, 59, 60, 3599, 3600, 172_799, 172_800].map(ago), [
      '0 s',
      '0 s',
      '59 s',
      '1 min',
      '59 min',
      '1 h',
      '47 h',
      '2 d',
    ]);
  });

  it('colours on a terminal only, and not against the user', () => {
    const paints = (terminal: boolean, variables: NodeJS.ProcessEnv, ...argv: string[]) =>
      painter(terminal, variables, argv)('red', 'x') !== 'x';
    assert.equal(paints(true, {}), true);
    assert.equal(paints(false, {}), false);
    assert.equal(paints(false, { FORCE_COLOR: '1' }), true);
    assert.equal(paints(true, { NO_COLOR: '1' }), false);
    assert.equal(paints(true, { NO_COLOR: '1', FORCE_COLOR: '1' }), false);
    assert.equal(paints(true, { NO_COLOR: '' }), true);
    assert.equal(paints(true, { TERM: 'dumb' }), false);
    assert.equal(paints(true, {}, 'list', '--no-color'), false);
    assert.equal(paints(true, {}, 'servers', 'add', 'x', '--', '--no-color'), true);
  });
});

describe('the CLI', () => {
  let world: World;
  beforeEach(async () => {
    world = await openWorld();
  });
  afterEach(() => world.close());

  it('shows hostile records as harmless text, and as the same value with --json', async () => {
    await world.store.createSession({ session_id: 'evil', title: hostile, purpose: hostile, client: hostile });
    const invocation_id = await world.record('evil', `tool${hostile}`, { content: [{ type: 'text', text: hostile }] });
    for (const argv of [
      ['list'],
      ['show', 'evil'],
      ['calls'],
      ['sessions', 'get', 'evil'],
      ['invocations', 'get', invocation_id],
    ])
      for (const json of [[], ['--json']]) {
        const { status, stdout, stderr } = await runIn(world, [...argv, ...json]);
        assert.equal(status, 0, stderr);
        assert.doesNotMatch(stdout, DANGEROUS, argv.join(' '));
        assert.match(stdout, /red/);
      }
    const { stdout } = await runIn(world, ['sessions', 'get', 'evil', '--json']);
    assert.equal(JSON.parse(stdout).title, hostile);
  });

  it('fits a table to the terminal, and shortens nothing for a pipe', async () => {
    const title = 'A long title, 長い題名, that goes on and on and on and on and on and on and on and on and on';
    await world.store.createSession({ session_id: 'wide', title });
    for (const columns of [60, 80, 100, 200]) {
      let out = '';
      const stdout = { isTTY: true, columns, write: (text: string) => (out += text) };
      assert.equal((await runIn(world, ['list'], { stdout })).status, 0);
      for (const line of stripVTControlCharacters(out).split('\n'))
        assert.ok(line.length <= columns, `${columns}: ${line}`);
      assert.equal(out.includes(title), columns === 200);
    }
    assert.ok((await runIn(world, ['list'])).stdout.includes(title));
  });

  it('gives an unknown command a suggestion, and its usage errors one exit status', async () => {
    const cases: [argv: string[], message: RegExp][] = [
      [['lsit'], /^sessiond: unknown command 'lsit'.*list/],
      [['sessions', 'crate'], /^sessiond: unknown command 'crate'.*create/],
      [['list', '--statsu', 'active'], /^sessiond: unknown option '--statsu'.*--status/],
      [['show'], /^sessiond: missing required argument 'session_id'\n$/],
      [['list', '--limit', 'many'], /^sessiond: sessions_list: limit "many".*\n$/],
      [['list', 'too', 'much'], /^sessiond: too many arguments/],
      [['servers', 'add', 'x'], /^sessiond: what is x\? give one of -- COMMAND/],
      [['servers', 'add', 'x', '--config', '{'], /^sessiond: --config "\{": is not JSON/],
      [['tail', '--after', 'x'], /^sessiond: after "x"/],
      [['sessions', 'update', 'x', '--state', 'no'], /^sessiond: sessions_update: state "no": expected record/],
    ];
    for (const [argv, message] of cases) {
      const { status, stdout, stderr } = await runIn(world, argv);
      assert.equal(status, 2, argv.join(' '));
      assert.match(stderr, message);
      assert.equal(stdout, '');
    }
  });

  it('tells that there is no daemon by its exit status', async () => {
    await world.stop();
    const { status, stderr } = await runIn(world, ['list']);
    assert.equal(status, 69);
    assert.match(stderr, /^sessiond: no daemon answers at .*sessiond start/);
    await world.start();
  });

  it('helps: every command has examples, choices are shown, nothing is asked of the daemon', async () => {
    const connect = () => assert.fail('connected');
    const top = await runIn(world, [], { connect });
    assert.equal(top.status, 0);
    for (const word of ['list', 'show', 'tag', 'tail', 'open', 'servers'])
      assert.match(top.stdout, new RegExp(`^  ${word} `, 'm'));
    const list = await runIn(world, ['list', '--help'], { connect });
    assert.match(
      list.stdout.replace(/\s+/g, ' '),
      /--status <value> one of created, active, suspended.*Examples: sessiond list/,
    );
    assert.deepEqual(await runIn(world, ['--version'], { connect }), { status: 0, stdout: '0.0.0-test\n', stderr: '' });
  });

  it('makes a session, tags it, takes a tag away, clears its title and completes it', async () => {
    const json = async (...argv: string[]) => JSON.parse((await runIn(world, [...argv, '--json'])).stdout);
    const { session_id } = await json('new', 'Debug the auth bug', '--tags', 'auth', '--tags', 'urgent');
    assert.deepEqual((await json('tag', session_id, 'backend', 'api')).tags.sort(), [
      'api',
      'auth',
      'backend',
      'urgent',
    ]);
    assert.deepEqual((await json('tag', session_id, 'api', '--remove')).tags.sort(), ['auth', 'backend', 'urgent']);
    const cleared = await json('sessions', 'update', session_id, '--no-title', '--state', '{"a":[1]}');
    assert.deepEqual([cleared.title, cleared.state], [null, { a: [1] }]);
    assert.equal((await json('complete', session_id)).status, 'completed');
    const shown = await json('show', session_id);
    assert.deepEqual(Object.keys(shown), ['session', 'invocations']);
  });

  it('resolves a workspace given as a shell has it', async () => {
    const root = await realpath(world.home);
    await mkdir(join(root, 'repo', '.git'), { recursive: true });
    await mkdir(join(root, 'repo', 'deep'));
    await mkdir(join(root, 'plain'));
    await symlink(join(root, 'plain'), join(root, 'link'));
    await world.store.createSession({ session_id: 's' });
    const workspace = async (given: string, cwd: string) =>
      JSON.parse((await runIn(world, ['use', 's', '--workspace', given, '--json'], { cwd })).stdout);
    const active = (folder: string) => world.client.call('sessions_list', { workspace: folder, limit: 500 });
    assert.equal((await workspace('.', join(root, 'repo', 'deep'))).active, true);
    assert.equal((await runIn(world, ['use', 's'])).status, 2);
    const made = async (cwd: string, ...argv: string[]) =>
      JSON.parse((await runIn(world, ['new', 'x', ...argv, '--json'], { cwd })).stdout).workspace;
    assert.equal(await made(join(root, 'repo', 'deep'), '--workspace', '.'), join(root, 'repo'));
    assert.equal(await made(root, '--workspace', 'link'), join(root, 'plain'));
    assert.equal(await made(root, '--workspace', join(root, 'link')), join(root, 'plain'));
    assert.equal(await made(root, '--workspace', join(root, 'gone')), join(root, 'gone'));
    assert.equal(await made(join(root, 'repo', 'deep'), '--activate'), join(root, 'repo'));
    assert.ok((await active(join(root, 'repo'))).items.length > 0);
  });

  it('adds a server by its command line', async () => {
    const { stdout } = await runIn(world, [
      'servers',
      'add',
      'files',
      '--env',
      'A=b=c',
      '--json',
      '--',
      'npx',
      '-y',
      'pkg',
      '--json',
    ]);
    assert.equal(JSON.parse(stdout).target, 'npx -y pkg --json');
    const removed = await runIn(world, ['servers', 'remove', 'files', '--json']);
    assert.deepEqual(JSON.parse(removed.stdout).config, {
      command: 'npx',
      args: ['-y', 'pkg', '--json'],
      env: { A: 'b=c' },
    });
    assert.equal((await runIn(world, ['servers', 'remove', 'files'])).status, 3);
  });

  it('tail follows until Ctrl-C, one line an event', async () => {
    const stop = new AbortController();
    let out = '';
    const stdout = { write: (text: string) => (out += text) };
    const running = runIn(world, ['tail', '--session', 'mine', '--after', '0'], { stdout, signal: stop.signal });
    await world.store.createSession({ session_id: 'other' });
    await world.store.createSession({ session_id: 'mine', title: 'Mine' });
    await until('a line', () => out.includes('\n'));
    stop.abort();
    const { status, stderr } = await running;
    assert.deepEqual([status, stderr], [0, '']);
    assert.match(out, /^\d\d:\d\d:\d\d {2}session created +created +Mine\n$/);
  });

  it('tail names the session of a call by its title, also of one that was there before', async () => {
    await world.store.createSession({ session_id: 'mine', title: 'Mine' });
    const before = await world.record('mine', 'early', { content: [] });
    const after = String((await world.store.listEvents(0, 500)).latest);
    const stop = new AbortController();
    let out = '';
    const stdout = { write: (text: string) => (out += text) };
    const running = runIn(world, ['tail', '--after', after], { stdout, signal: stop.signal });
    try {
      await world.record('mine', 'status');
      await until('the end of the call', () => /completed/.test(out));
    } finally {
      stop.abort();
    }
    assert.deepEqual([(await running).status, out.includes(before)], [0, false]);
    const line = out.split('\n').find(each => each.includes('completed'));
    assert.match(line ?? '', /^\d\d:\d\d:\d\d {2}\S+ status +completed +\d+ ms {2}Mine$/);
  });

  it('shows of a session what there is, and no column that is empty', async () => {
    await world.store.createSession({ session_id: 'mine', title: 'Mine' });
    const empty = (await runIn(world, ['show', 'mine'])).stdout;
    assert.deepEqual(empty.match(/^[a-z_]+/gm), ['session_id', 'status', 'user_id', 'created_at', 'last_activity_at']);
    await world.record('mine', 'status', { content: [] });
    const { stdout } = await runIn(world, ['show', 'mine']);
    assert.match(stdout, /^calls +1, \d+ ms in all$/m);
    assert.match(stdout, /^CALL +TOOL +STATUS +TOOK +AGE$/m);
    assert.doesNotMatch((await runIn(world, ['list'])).stdout, /TAGS|CLIENT|\*/);
  });

  it('says that a value is needed only where it is', async () => {
    for (const argv of [['list'], ['calls'], ['complete'], ['new'], ['sessions', 'update']])
      assert.doesNotMatch((await runIn(world, [...argv, '--help'])).stdout, /needed/, argv.join(' '));
  });

  it('open prints a link that works, and starts a browser only where somebody watches', async () => {
    const opened: string[] = [];
    const openUrl = async (url: string) => void opened.push(url);
    const { stdout } = await runIn(world, ['open'], { openUrl });
    assert.equal((await fetch(stdout.trim(), { redirect: 'manual' })).status, 303);
    const terminal = { write: () => {}, isTTY: true };
    await runIn(world, ['open', '--no-open'], { openUrl, stdout: terminal });
    await runIn(world, ['open'], { openUrl, stdout: terminal, variables: { CI: 'true' } });
    assert.deepEqual(opened, []);
    await runIn(world, ['open'], { openUrl, stdout: terminal });
    assert.match(String(opened), /^http:\/\/127\.0\.0\.1:\d+\/\?key=/);
    const failing = await runIn(world, ['open'], {
      stdout: terminal,
      openUrl: () => Promise.reject(new Error('no xdg-open')),
    });
    assert.deepEqual(
      [failing.status, failing.stderr],
      [0, 'sessiond: no browser could be started (no xdg-open): open the link yourself\n'],
    );
  });
});

/**
 * The demo: a daemon in a home of its own before two real MCP servers, a real client that does a small piece of work through
 * it, the calls as they appear, the session as the CLI shows it, and the page. `-- --once` ends it by itself.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { stripVTControlCharacters, styleText } from 'node:util';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';

const once = process.argv.includes('--once');
const root = path.resolve(import.meta.dirname, '../..');
const sessiond = path.join(root, 'dist/sessiond.js');
const home = path.join(mkdtempSync(path.join(tmpdir(), 'sessiond-demo-')), 'home');
const env = { ...process.env, SESSIOND_HOME: home } as Record<string, string>;
const { resolve } = createRequire(import.meta.url);

const heading = (text: string): void => console.log(`\n${styleText('bold', text)}`);
const say = (text: string): void => console.log(`  ${text}`);

function run(...args: string[]): string {
  const { stdout, stderr, status } = spawnSync(process.execPath, [sessiond, ...args], { env, encoding: 'utf8' });
  if (status !== 0) throw new Error(`sessiond ${args.join(' ')} ended with ${status}: ${stderr}`);
  return stdout;
}

/** The same with the demo's own terminal: in colour, and as wide as that is. */
function show(...args: string[]): void {
  const { status } = spawnSync(process.execPath, [sessiond, ...args], { env, stdio: ['ignore', 'inherit', 'inherit'] });
  if (status !== 0) throw new Error(`sessiond ${args.join(' ')} ended with ${status}`);
}

/** Follows the daemon's events as a user would, `sessiond tail`, and counts the calls that it shows. */
function follow(): { child: ChildProcess; shown: (calls: number) => Promise<void> } {
  const colours = process.stdout.isTTY ? { FORCE_COLOR: '1' } : {};
  const child = spawn(process.execPath, [sessiond, 'tail'], {
    env: { ...env, ...colours },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let ended = 0;
  let wake = (): void => {};
  createInterface({ input: child.stdout }).on('line', line => {
    say(`${styleText('cyan', '│')} ${line}`);
    if (/ (completed|failed) /.test(stripVTControlCharacters(line))) ended += 1;
    wake();
  });
  const shown = async (calls: number): Promise<void> => {
    const deadline = Date.now() + 5000;
    while (ended < calls && Date.now() < deadline) {
      await new Promise<void>(done => {
        wake = done;
        setTimeout(done, 200);
      });
    }
    if (ended < calls) throw new Error(`sessiond tail showed ${ended} of ${calls} calls`);
  };
  return { child, shown };
}

function textOf(result: unknown): string {
  const [first] = (result as { content: { text?: string }[] }).content;
  return first?.text ?? '';
}

async function work(): Promise<number> {
  const client = new Client({ name: 'demo-client', version: '1.0.0' });
  await client.connect(
    new StdioClientTransport({
      command: path.join(home, 'bin/sessiond'),
      args: ['stdio'],
      env,
      cwd: root,
      stderr: 'ignore',
    }),
  );
  const { tools } = await client.listTools();
  const own = tools.filter(tool => !tool.name.includes('__')).length;
  say(`the client sees ${tools.length - own} tools of two servers, and ${own} of sessiond's own`);
  let calls = 0;
  const call = async (name: string, args: Record<string, unknown>): Promise<string> => {
    calls += 1;
    return textOf(await client.callTool({ name, arguments: args }));
  };
  const found = await call('files__search_files', { path: path.join(root, 'shared'), pattern: '**/*.ts' });
  const files = found.split('\n').filter(line => line.endsWith('.ts'));
  const lengths: number[] = [];
  for (const file of files.slice(0, 3)) {
    lengths.push((await call('files__read_text_file', { path: file })).split('\n').length);
  }
  let sum = 0;
  for (const length of lengths) {
    const answer = await call('everything__get-sum', { a: sum, b: length });
    sum = Number(/is (\d+)/.exec(answer)?.[1] ?? Number.NaN);
  }
  say(`found ${files.length} files, read ${lengths.length} of them, and summed their lines: ${sum}`);
  if (sum !== lengths.reduce((a, b) => a + b, 0)) throw new Error(`the sum is wrong: ${sum}`);
  await client.close();
  return calls;
}

async function demo(): Promise<void> {
  heading('1  A daemon in a home of its own, before two real MCP servers');
  say(run('start').trim());
  const server = (name: string, script: string, ...args: string[]): void => {
    run('servers', 'add', name, '--', process.execPath, resolve(script), ...args);
    say(`added ${name}: ${[script.replace('/dist/index.js', ''), ...args].join(' ')}`);
  };
  server('files', '@modelcontextprotocol/server-filesystem/dist/index.js', root);
  server('everything', '@modelcontextprotocol/server-everything/dist/index.js');

  heading('2  A real client does a small piece of work through it; `sessiond tail` shows the calls');
  const tail = follow();
  const calls = await work();
  await tail.shown(calls);
  tail.child.kill('SIGINT');

  heading('3  The session, as the CLI shows it');
  const { items } = JSON.parse(run('list', '--json')) as { items: { session_id: string }[] };
  const [session] = items;
  if (session === undefined) throw new Error('there is no session');
  run('sessions', 'update', session.session_id, '--title', 'Count the lines of shared/', '--add-tags', 'demo');
  show('show', session.session_id);

  heading('4  The same in a browser');
  say(run('open', '--no-open').trim());
  if (!once) say('The link works once; Enter gives another. Ctrl-C ends the demo and removes its home.');
}

function end(): void {
  spawnSync(process.execPath, [sessiond, 'stop'], { env });
  rmSync(path.dirname(home), { recursive: true, force: true });
}

try {
  await demo();
  if (!once) {
    // a one-time link opens once: each press of Enter makes another
    const input = createInterface({ input: process.stdin });
    input.on('line', () => say(run('open', '--no-open').trim()));
    // without input nothing else would keep the process
    const awake = setInterval(() => {}, 60_000);
    await new Promise<void>(done => {
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, done);
      if (process.stdin.isTTY) input.once('close', done);
    });
    clearInterval(awake);
    input.close();
  }
} catch (error) {
  console.error(styleText('red', `The demo failed: ${error instanceof Error ? error.message : String(error)}`));
  process.exitCode = 1;
} finally {
  end();
}

import { spawn, spawnSync } from 'node:child_process';
import { type Dirent, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Discovery } from '../../daemon/lifecycle/discovery.ts';
import { type Client, createClient } from '../../shared/client.ts';
import type { Invocation, InvocationDetail } from '../../shared/invocation.ts';
import { RawClient } from './rawClient.ts';

export const root = path.resolve(import.meta.dirname, '../..');
export const script = path.join(root, 'dist/sessiond.js');
/** The command line of the fixture upstream. */
export const fixture = [process.execPath, path.join(root, 'test/fixtures/upstream.ts')];

/** What the config.json of a test holds. */
export interface TestConfig {
  readonly mcpServers?: Readonly<Record<string, unknown>>;
  readonly [setting: string]: unknown;
}

/** The built sessiond in a temporary home, with all that a test starts in it. */
export class Sessiond {
  readonly folder = mkdtempSync(path.join(tmpdir(), 'sessiond-test-'));
  readonly home = path.join(this.folder, 'home');
  /** The working directory of clients: a workspace of its own. */
  readonly workspace = path.join(this.folder, 'workspace');
  readonly env: Record<string, string>;
  readonly #clients: RawClient[] = [];
  #daemonPids = new Set<number>();

  constructor(config: TestConfig | string = {}) {
    mkdirSync(this.home, { mode: 0o700 });
    mkdirSync(this.workspace);
    const text = typeof config === 'string' ? config : JSON.stringify(config);
    writeFileSync(path.join(this.home, 'config.json'), text, { mode: 0o600 });
    const { SESSIOND_SESSION_ID: _none, ...inherited } = process.env as Record<string, string>;
    this.env = { ...inherited, SESSIOND_HOME: this.home, NO_COLOR: '1' };
  }

  /** Runs a command to its end. */
  run(...args: string[]): { status: number | null; stdout: string; stderr: string } {
    const ran = spawnSync(process.execPath, [script, ...args], {
      env: this.env,
      encoding: 'utf8',
      cwd: this.workspace,
    });
    return { status: ran.status, stdout: ran.stdout, stderr: ran.stderr };
  }

  start(): Discovery {
    const { status, stderr } = this.run('start');
    if (status !== 0) throw new Error(`sessiond start ended with ${status}: ${stderr}`);
    return this.discovery();
  }

  discovery(): Discovery {
    const discovery = JSON.parse(readFileSync(path.join(this.home, 'daemon.json'), 'utf8')) as Discovery;
    this.#daemonPids.add(discovery.pid);
    return discovery;
  }

  /** Kills the daemon as a crash would. */
  kill(): void {
    process.kill(this.discovery().pid, 'SIGKILL');
  }

  /** The typed client of the running daemon. */
  get client(): Client {
    const { port, token } = this.discovery();
    return createClient({ url: `http://127.0.0.1:${port}`, token });
  }

  get mcpUrl(): string {
    return `http://127.0.0.1:${this.discovery().port}/mcp`;
  }

  /** A raw client in front of `sessiond stdio` or `wrap`. */
  raw(args: readonly string[], env: Record<string, string> = {}, cwd = this.workspace): RawClient {
    const client = new RawClient(process.execPath, [script, ...args], { ...this.env, ...env }, cwd);
    this.#clients.push(client);
    return client;
  }

  wrap(args: readonly string[] = [], env: Record<string, string> = {}, cwd?: string): RawClient {
    return this.raw(['wrap', 'fixture', ...args, '--', ...fixture], env, cwd);
  }

  /** The recorded call of an answer, once it has ended. */
  async recorded(invocationId: string): Promise<InvocationDetail> {
    return await until(async () => {
      const call = await this.client.call('invocations_get', { invocation_id: invocationId }).catch(() => null);
      return call !== null && call.status !== 'running' ? call : null;
    }, `invocation ${invocationId} to be recorded`);
  }

  /** The calls there are, once there are as many. */
  async calls(count: number): Promise<Invocation[]> {
    return await until(async () => {
      const { items } = await this.client.call('invocations_list', { limit: 500 });
      return items.length >= count && items.every(call => call.status !== 'running') ? items : null;
    }, `${count} calls to be recorded`);
  }

  /** The files of the home that hold `text`. */
  grep(text: string): string[] {
    return (readdirSync(this.home, { recursive: true, withFileTypes: true }) as Dirent[])
      .filter(entry => entry.isFile())
      .map(entry => path.join(entry.parentPath, entry.name))
      .filter(file => readFileSync(file).includes(text));
  }

  /** Ends everything that was started and removes the folder. */
  async end(): Promise<void> {
    await Promise.all(this.#clients.map(client => client.close()));
    this.run('stop');
    for (const pid of this.#daemonPids) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // it has ended, as it should
      }
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Asks again until there is an answer. */
export async function until<T>(ask: () => Promise<T | null> | T | null, what: string, ms = 15_000): Promise<T> {
  const deadline = Date.now() + ms;
  while (true) {
    const answer = await ask();
    if (answer !== null) return answer;
    if (Date.now() > deadline) throw new Error(`waited ${ms} ms for ${what}`);
    await new Promise(resolve => setTimeout(resolve, 20));
  }
}

/** The `_meta` keys that an answer echoes. */
export function echoed(answer: { result?: { _meta?: Record<string, string> } }): {
  session: string;
  invocation: string;
} {
  const meta = answer.result?._meta ?? {};
  return { session: String(meta['dev.sessiond/session_id']), invocation: String(meta['dev.sessiond/invocation_id']) };
}

/** Starts a process of the built sessiond that stays in the foreground. */
export function spawnSessiond(home: Sessiond, args: readonly string[]): ReturnType<typeof spawn> {
  return spawn(process.execPath, [script, ...args], { env: home.env, stdio: ['ignore', 'pipe', 'pipe'] });
}

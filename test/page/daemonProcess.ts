import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Client, createClient } from '../../shared/client.ts';
import { RawClient } from '../support/rawClient.ts';

const script = join(import.meta.dirname, '../../dist/sessiond.js');
const upstream = join(import.meta.dirname, '../fixtures/upstream.ts');
const START_MS = 15_000;

/** A built daemon in a temporary home of its own. */
export class DaemonProcess {
  readonly home: string;
  #pid: number | null = null;
  #stderr = '';

  private constructor(home: string) {
    this.home = home;
  }

  static async start(): Promise<DaemonProcess> {
    const daemon = new DaemonProcess(await mkdtemp(join(tmpdir(), 'sessiond-page-')));
    await daemon.resume();
    return daemon;
  }

  /** Starts it (again) in the same home. */
  async resume(): Promise<Client> {
    const child = spawn(process.execPath, [script, 'serve'], {
      env: { ...process.env, SESSIOND_HOME: this.home },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    child.stderr.on('data', chunk => {
      this.#stderr += chunk;
    });
    return until(`the daemon to answer; it said: ${this.#stderr}`, START_MS, async () => {
      // 0: an assistant that is connected has started one by itself already
      if (child.exitCode !== null && child.exitCode !== 0)
        throw new Error(`the daemon exited with ${child.exitCode}: ${this.#stderr}`);
      const client = await this.client().catch(() => null);
      const status = await client?.call('daemon_status', {}).catch(() => null);
      if (!client || !status) return null;
      this.#pid = status.pid;
      return client;
    });
  }

  async client(): Promise<Client> {
    const { port, token } = JSON.parse(await readFile(join(this.home, 'daemon.json'), 'utf8'));
    return createClient({ url: `http://127.0.0.1:${port}`, token });
  }

  /** An assistant that has wrapped the fixture server as `fixture`. */
  async assistant(): Promise<RawClient> {
    const args = [script, 'wrap', 'fixture', '--', process.execPath, upstream];
    const client = new RawClient(process.execPath, args, { SESSIOND_HOME: this.home });
    await client.initialize();
    return client;
  }

  async kill(): Promise<void> {
    const pid = this.#pid;
    if (pid === null) return;
    this.#pid = null;
    process.kill(pid, 'SIGKILL');
    await until(`process ${pid} to be gone`, START_MS, async () => (isAlive(pid) ? null : true));
  }

  async remove(): Promise<void> {
    await this.kill();
    await rm(this.home, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Polls until `found` gives something; says what it waited for when it never does. */
export async function until<T>(what: string, ms: number, found: () => Promise<T | null>): Promise<T> {
  const deadline = Date.now() + ms;
  for (;;) {
    const value = await found();
    if (value !== null) return value;
    if (Date.now() > deadline) throw new Error(`waited ${ms} ms for ${what}`);
    await new Promise(resolve => setTimeout(resolve, 20));
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

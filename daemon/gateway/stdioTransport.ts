import { type ChildProcess, spawn } from 'node:child_process';
import { LineReader } from './lineReader.ts';
import { writeLine } from './lineWriter.ts';
import type { Transport, TransportEvents } from './transport.ts';
import type { StdioSpec } from './upstreamSpec.ts';

const STDERR_KEPT = 64 * 1024;
/** How long an upstream may take to leave after its input ended, and after SIGTERM. */
const LEAVE_MS = 1700;
const TERM_MS = 1000;
/** How long after the end of its output the exit of a process may be told. */
const EXIT_TOLD_MS = 250;

/** The last lines of a stream, at most `limit` bytes of them. */
class Tail {
  #parts: Buffer[] = [];
  #length = 0;

  push(part: Buffer): void {
    this.#parts.push(part.length > STDERR_KEPT ? part.subarray(-STDERR_KEPT) : part);
    this.#length += Math.min(part.length, STDERR_KEPT);
    while (this.#length > STDERR_KEPT && this.#parts.length > 1) this.#length -= this.#parts.shift()?.length ?? 0;
  }

  lastLine(): string | null {
    const text = Buffer.concat(this.#parts).toString('utf8').trimEnd();
    return text === '' ? null : text.slice(text.lastIndexOf('\n') + 1).slice(0, 300);
  }
}

export interface SpawnContext {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The file mode mask that upstreams run with, where this process has another for itself. */
  readonly umask?: number;
  /** Gets what the upstream writes to its stderr. */
  readonly onStderr: (chunk: Buffer) => void;
}

/** An upstream that runs as a child process and speaks JSON lines over its stdin and stdout. */
export class StdioTransport implements Transport {
  readonly #child: ChildProcess;
  readonly #events: TransportEvents;
  readonly #stderr = new Tail();
  readonly #gone: Promise<void>;
  readonly #group: boolean;
  #closing = false;

  constructor(spec: StdioSpec, context: SpawnContext, events: TransportEvents) {
    this.#events = events;
    this.#group = process.platform !== 'win32';
    const child = withUmask(context.umask, () =>
      spawn(spec.command, spec.args, {
        cwd: spec.cwd ?? context.cwd,
        env: { ...context.env, ...spec.env },
        stdio: ['pipe', 'pipe', 'pipe'],
        // a group of its own, so that a launcher such as npx is ended with what it started
        detached: this.#group,
        shell: process.platform === 'win32' && !/\.exe$/i.test(spec.command),
        windowsHide: true,
      }),
    );
    this.#child = child;
    const reader = new LineReader(events.onMessage, events.onOversize);
    child.stdout?.on('data', (chunk: Buffer) => reader.push(chunk));
    child.stdout?.on('close', () => {
      // most often because it exits, and then how it exited says more
      setTimeout(() => this.#lost('closed its output'), EXIT_TOLD_MS);
    });
    child.stderr?.on('data', (chunk: Buffer) => {
      this.#stderr.push(chunk);
      context.onStderr(chunk);
    });
    child.stdin?.on('error', error => {
      setTimeout(() => this.#lost(`closed its input (${error.message})`), EXIT_TOLD_MS);
    });
    this.#gone = new Promise(resolve => {
      child.once('error', error => {
        this.#lost(startFault(spec, error));
        resolve();
      });
      child.once('exit', (code, signal) => {
        this.#killGroup('SIGKILL');
        this.#lost(signal === null ? `exited with code ${code}` : `was ended by ${signal}`);
        resolve();
      });
    });
  }

  get pid(): number | null {
    return this.#child.pid ?? null;
  }

  send(message: Buffer): void {
    const { stdin } = this.#child;
    if (stdin === null || !stdin.writable) return;
    writeLine(stdin, message);
  }

  setProtocolVersion(): void {}

  async close(urgent: boolean): Promise<void> {
    this.#closing = true;
    if (this.#child.pid === undefined) return;
    this.#child.stdin?.end();
    if (!urgent && (await this.#leavesWithin(LEAVE_MS))) return;
    this.#killGroup('SIGTERM');
    if (await this.#leavesWithin(TERM_MS)) return;
    this.#killGroup('SIGKILL');
    await this.#gone;
  }

  #leavesWithin(ms: number): Promise<boolean> {
    return new Promise(resolve => {
      const timer = setTimeout(() => resolve(false), ms);
      void this.#gone.then(() => {
        clearTimeout(timer);
        resolve(true);
      });
    });
  }

  #killGroup(signal: NodeJS.Signals): void {
    const { pid } = this.#child;
    if (pid === undefined) return;
    try {
      if (this.#group) process.kill(-pid, signal);
      else this.#child.kill(signal);
    } catch (error) {
      // EPERM: what is left of the group is another user's, or about to be gone
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ESRCH' && code !== 'EPERM') throw error;
    }
  }

  #lost(reason: string): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#killGroup('SIGTERM');
    void this.#leavesWithin(TERM_MS).then(left => left || this.#killGroup('SIGKILL'));
    // its last words on stderr are often still in the pipe when the exit is told
    setImmediate(() => {
      const words = this.#stderr.lastLine();
      this.#events.onClose(words === null ? reason : `${reason}; it last wrote: ${words}`);
    });
  }
}

/** Runs with another file mode mask and puts ours back, whatever happens. */
function withUmask<T>(umask: number | undefined, run: () => T): T {
  if (umask === undefined) return run();
  const own = process.umask(umask);
  try {
    return run();
  } finally {
    process.umask(own);
  }
}

function startFault(spec: StdioSpec, error: NodeJS.ErrnoException): string {
  if (error.code === 'ENOENT') {
    return `could not be started: command "${spec.command}" was not found; check "command" and "cwd" in its configuration`;
  }
  if (error.code === 'EACCES') return `could not be started: "${spec.command}" may not be executed (EACCES)`;
  return `could not be started: ${error.message}`;
}

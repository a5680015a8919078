import { type ChildProcess, spawn } from 'node:child_process';

/** Any JSON-RPC message, loosely typed: a test looks at what came. */
export interface RawMessage {
  jsonrpc?: string;
  id?: string | number | null;
  method?: string;
  params?: Record<string, unknown>;
  // biome-ignore lint/suspicious/noExplicitAny: a test reaches into results of any shape
  result?: any;
  error?: { code: number; message: string; data?: unknown };
}

/** A client of bytes: writes lines to a stdio server, keeps every line that comes back. */
export class RawClient {
  readonly child: ChildProcess;
  readonly lines: string[] = [];
  readonly messages: RawMessage[] = [];
  stderr = '';
  #nextId = 1;
  readonly #watchers = new Set<() => void>();
  readonly exited: Promise<number | null>;

  constructor(command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}, cwd = process.cwd()) {
    this.child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...env }, cwd });
    this.exited = new Promise(resolve => this.child.once('exit', code => resolve(code)));
    this.child.stderr?.on('data', (chunk: Buffer) => {
      this.stderr += chunk.toString();
    });
    const { stdout } = this.child;
    if (stdout === null) throw new Error('no stdout');
    let rest = '';
    stdout.setEncoding('utf8');
    stdout.on('data', (chunk: string) => {
      // by newline alone: readline would also cut at U+2028, which JSON leaves as it is
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        this.lines.push(line);
        if (line.startsWith('{') && line.endsWith('}')) this.messages.push(JSON.parse(line) as RawMessage);
      }
      for (const watcher of [...this.#watchers]) watcher();
    });
  }

  write(message: unknown): void {
    this.child.stdin?.write(`${typeof message === 'string' ? message : JSON.stringify(message)}\n`);
  }

  /** The first message that fits, come or to come. */
  async until(fits: (message: RawMessage) => boolean, ms = 15_000): Promise<RawMessage> {
    const deadline = Date.now() + ms;
    while (true) {
      const found = this.messages.find(fits);
      if (found !== undefined) return found;
      const left = deadline - Date.now();
      if (left <= 0)
        throw new Error(
          `nothing came within ${ms} ms; last came ${this.lines.at(-1)?.slice(0, 500)}; stderr ${this.stderr}`,
        );
      await new Promise<void>(resolve => {
        const wake = (): void => {
          clearTimeout(timer);
          this.#watchers.delete(wake);
          resolve();
        };
        const timer = setTimeout(wake, left);
        this.#watchers.add(wake);
      });
    }
  }

  /** Sends a request and waits for its answer. */
  async request(method: string, params: Record<string, unknown> = {}, ms?: number): Promise<RawMessage> {
    const id = this.#nextId;
    this.#nextId += 1;
    this.write({ jsonrpc: '2.0', id, method, params });
    return await this.until(message => message.id === id && message.method === undefined, ms);
  }

  async initialize(params: Record<string, unknown> = {}): Promise<RawMessage> {
    const answer = await this.request('initialize', {
      protocolVersion: '2025-11-25',
      capabilities: {},
      clientInfo: { name: 'raw-client', version: '1.2.3' },
      ...params,
    });
    this.write({ jsonrpc: '2.0', method: 'notifications/initialized' });
    return answer;
  }

  call(name: string, args: Record<string, unknown> = {}, meta?: Record<string, unknown>): Promise<RawMessage> {
    return this.request('tools/call', { name, arguments: args, ...(meta === undefined ? {} : { _meta: meta }) });
  }

  /** Closes as an MCP client does: input first. */
  async close(): Promise<void> {
    this.child.stdin?.end();
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 8000);
    await this.exited;
    clearTimeout(timer);
  }
}

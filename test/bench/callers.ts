import { type ChildProcess, spawn } from 'node:child_process';
import http from 'node:http';

/** One client of the benchmark: calls `echo` and checks what comes back. */
export interface Caller {
  call(text: string): Promise<void>;
  close(): Promise<void>;
}

const initialize = {
  protocolVersion: '2025-06-18',
  capabilities: {},
  clientInfo: { name: 'bench', version: '1' },
};

interface Answer {
  id?: number;
  result?: { content?: { text?: string }[]; tools?: { name: string }[] };
  error?: unknown;
}

function checked(answer: Answer, text: string): void {
  if (answer.result?.content?.[0]?.text !== text) throw new Error(`bad echo: ${JSON.stringify(answer).slice(0, 200)}`);
}

/** A client over stdio, as thin as can be, so that what is measured is the server. */
export class StdioCaller implements Caller {
  readonly child: ChildProcess;
  /** Ms from the spawn to the answered tools/list. */
  listedAfter = 0;
  #waiting = new Map<number, (answer: Answer) => void>();
  #next = 1;
  #tool = 'echo';

  constructor(command: readonly string[], env: NodeJS.ProcessEnv = {}) {
    const [file = '', ...args] = command;
    this.child = spawn(file, args, { stdio: ['pipe', 'pipe', 'ignore'], env: { ...process.env, ...env } });
    let parts: Buffer[] = [];
    this.child.stdout?.on('data', (chunk: Buffer) => {
      let from = 0;
      for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, from)) {
        parts.push(chunk.subarray(from, at));
        from = at + 1;
        const answer = JSON.parse(Buffer.concat(parts).toString()) as Answer;
        parts = [];
        if (answer.id === undefined) continue;
        this.#waiting.get(answer.id)?.(answer);
        this.#waiting.delete(answer.id);
      }
      if (from < chunk.length) parts.push(chunk.subarray(from));
    });
  }

  static async start(command: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<StdioCaller> {
    const began = performance.now();
    const caller = new StdioCaller(command, env);
    await caller.#request('initialize', initialize);
    caller.#write({ jsonrpc: '2.0', method: 'notifications/initialized' });
    const { result } = await caller.#request('tools/list', {});
    caller.listedAfter = performance.now() - began;
    caller.#tool = result?.tools?.find(tool => /(^|__)echo$/.test(tool.name))?.name ?? 'echo';
    return caller;
  }

  async call(text: string): Promise<void> {
    checked(await this.#request('tools/call', { name: this.#tool, arguments: { text } }), text);
  }

  async close(): Promise<void> {
    this.child.stdin?.end();
    await new Promise(resolve => this.child.once('exit', resolve));
  }

  #write(message: unknown): void {
    this.child.stdin?.write(`${JSON.stringify(message)}\n`);
  }

  #request(method: string, params: unknown): Promise<Answer> {
    const id = this.#next;
    this.#next += 1;
    return new Promise(resolve => {
      this.#waiting.set(id, resolve);
      this.#write({ jsonrpc: '2.0', id, method, params });
    });
  }
}

/** A client over Streamable HTTP on one kept connection. */
export class HttpCaller implements Caller {
  readonly #url: URL;
  readonly #token: string | null;
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  #session: string | null = null;
  #next = 1;
  #tool = 'echo';

  private constructor(url: string, token: string | null) {
    this.#url = new URL(url);
    this.#token = token;
  }

  static async start(url: string, token: string | null): Promise<HttpCaller> {
    const caller = new HttpCaller(url, token);
    await caller.#request('initialize', initialize);
    await caller.#post({ jsonrpc: '2.0', method: 'notifications/initialized' });
    const { result } = await caller.#request('tools/list', {});
    caller.#tool = result?.tools?.find(tool => /(^|__)echo$/.test(tool.name))?.name ?? 'echo';
    return caller;
  }

  async call(text: string): Promise<void> {
    checked(await this.#request('tools/call', { name: this.#tool, arguments: { text } }), text);
  }

  async close(): Promise<void> {
    this.#agent.destroy();
  }

  async #request(method: string, params: unknown): Promise<Answer> {
    const id = this.#next;
    this.#next += 1;
    const body = await this.#post({ jsonrpc: '2.0', id, method, params });
    const json = body.startsWith('{')
      ? body
      : (body.split('\n').find(line => line.startsWith('data: {')) ?? '').slice(6);
    return JSON.parse(json) as Answer;
  }

  #post(message: unknown): Promise<string> {
    const body = Buffer.from(JSON.stringify(message));
    return new Promise((resolve, reject) => {
      const request = http.request(this.#url, {
        method: 'POST',
        agent: this.#agent,
        headers: {
          'content-type': 'application/json',
          'content-length': body.length,
          accept: 'application/json, text/event-stream',
          ...(this.#token === null ? {} : { authorization: `Bearer ${this.#token}` }),
          ...(this.#session === null ? {} : { 'mcp-session-id': this.#session, 'mcp-protocol-version': '2025-06-18' }),
        },
      });
      request.once('error', reject);
      request.once('response', response => {
        const session = response.headers['mcp-session-id'];
        if (typeof session === 'string') this.#session = session;
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.once('end', () => resolve(Buffer.concat(parts).toString()));
      });
      request.end(body);
    });
  }
}

import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server as HttpServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getRequestListener } from '@hono/node-server';
import { createInvoke, type Invoke } from '../../daemon/invoke.ts';
import type { DaemonInfo } from '../../daemon/sessions/daemon.ts';
import { createHandlers } from '../../daemon/sessions/handlers.ts';
import type { Servers } from '../../daemon/sessions/servers.ts';
import { openSqliteStore } from '../../daemon/store/sqlite/sqliteStore.ts';
import type { Store } from '../../daemon/store/store.ts';
import type { CliEnvironment } from '../../daemon/surfaces/cli/environment.ts';
import { createEventStreams, type EventStreamOptions } from '../../daemon/surfaces/events.ts';
import { createHttpApp } from '../../daemon/surfaces/http.ts';
import { createSecurity, type Security } from '../../daemon/surfaces/security.ts';
import { type Client, createClient } from '../../shared/client.ts';
import { DaemonError } from '../../shared/errors.ts';
import type { Server, ServerConfig } from '../../shared/server.ts';

/** The daemon's surfaces over a real store and a real HTTP server on a port of its own, in a temporary home. */
export interface World {
  readonly home: string;
  readonly url: string;
  readonly port: number;
  readonly token: string;
  readonly store: Store;
  readonly invoke: Invoke;
  readonly security: Security;
  readonly client: Client;
  /** Errors that were logged, not told. */
  readonly logged: unknown[];
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** Records one call with its end; returns its invocation_id. */
  record(session_id: string, tool: string, result?: unknown): Promise<string>;
  /** Stops listening and ends every connection; `start` listens on the same port again. */
  stop(): Promise<void>;
  start(): Promise<void>;
  close(): Promise<void>;
}

export interface WorldOptions {
  readonly events?: Partial<EventStreamOptions>;
  readonly now?: () => number;
}

/** Opens a world; close it. */
export async function openWorld(options: WorldOptions = {}): Promise<World> {
  const home = await mkdtemp(join(tmpdir(), 'sessiond-surfaces-'));
  const store = await openSqliteStore({
    file: join(home, 'sessions.db'),
    workerUrl: new URL('../../daemon/store/sqlite/storeWorker.ts', import.meta.url),
    blobDir: join(home, 'blobs'),
    durability: 'process',
    userId: 'tester',
  });
  const logged: unknown[] = [];
  const token = 'a-token-of-this-test';
  let port = 0;
  const info: DaemonInfo = {
    pid: 4242,
    get port() {
      return port;
    },
    version: '0.0.0-test',
    instance_id: 'instance',
    home,
    started_at: '2026-11-21T09:00:00.000Z',
    durability: 'process',
    clients: () => 0,
  };
  const invoke = createInvoke(
    createHandlers(store, memoryServers(), () => info),
    (_reference, _name, cause) => logged.push(cause),
  );
  const security = createSecurity({ token, port: () => port, ...(options.now ? { now: options.now } : {}) });
  const openEvents = () => createEventStreams({ log: store, onError: error => logged.push(error), ...options.events });
  let events = openEvents();
  let server: HttpServer;
  const start = async () => {
    events = openEvents();
    const app = createHttpApp({
      invoke,
      security,
      events,
      version: info.version,
      health: nonce => ({
        pid: info.pid,
        version: info.version,
        protocol: 1,
        instance_id: info.instance_id,
        proof: nonce,
      }),
      mediaFolder: join(home, 'media'),
      onError: error => logged.push(error),
    });
    server = createServer(getRequestListener(app.fetch));
    await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve));
    const address = server.address();
    if (typeof address === 'object' && address) port = address.port;
  };
  const stop = async () => {
    events.close();
    // Streams end by themselves, and their connections are idle only then; what a test left open is cut off.
    const sweep = setInterval(() => server.closeIdleConnections(), 5);
    const cut = setTimeout(() => server.closeAllConnections(), 1000);
    await new Promise(resolve => server.close(resolve));
    clearInterval(sweep);
    clearTimeout(cut);
  };
  await start();
  const url = `http://127.0.0.1:${port}`;
  return {
    home,
    url,
    port,
    token,
    store,
    invoke,
    security,
    logged,
    client: createClient({ url, token }),
    fetch: (path, init) =>
      fetch(url + path, {
        ...init,
        headers: { authorization: `Bearer ${token}`, ...Object.fromEntries(new Headers(init?.headers)) },
      }),
    record: (session_id, tool, result = { content: [] }) => recordCall(store, session_id, tool, result),
    stop,
    start,
    async close() {
      await stop();
      await store.close();
      await rm(home, { recursive: true, force: true });
    },
  };
}

/** Runs one command line of the CLI against the world; nothing is watched, so nothing is coloured or shortened. */
export async function runIn(
  world: Pick<World, 'client' | 'home'>,
  argv: readonly string[],
  change: Partial<CliEnvironment> = {},
): Promise<{ status: number; stdout: string; stderr: string }> {
  const { runCli } = await import('../../daemon/surfaces/cli/cli.ts');
  let stdout = '';
  let stderr = '';
  const status = await runCli(argv, {
    connect: async () => world.client,
    stdout: { write: text => (stdout += text) },
    stderr: { write: text => (stderr += text) },
    cwd: world.home,
    variables: {},
    version: '0.0.0-test',
    signal: new AbortController().signal,
    openUrl: async () => {},
    ...change,
  });
  return { status, stdout, stderr };
}

/** Asks again and again until it is true; fails with `what` after ten seconds. */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 10_000;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`never: ${what}`);
    await new Promise(resolve => setTimeout(resolve, 5));
  }
}

let calls = 0;

async function recordCall(store: Store, session_id: string, tool: string, result: unknown): Promise<string> {
  const invocation_id = `0199b3c2-0000-7000-8000-${String(++calls).padStart(12, '0')}`;
  const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
  await store.writeRecords([
    {
      kind: 'start',
      start: {
        invocation_id,
        session_id,
        provisional: false,
        attribution: 'explicit',
        conversation: null,
        client: 'test-client',
        client_version: '1.0.0',
        workspace: null,
        server: 'files',
        tool,
        started_at: Date.now(),
        owner: '1-test',
      },
      message: encode({
        jsonrpc: '2.0',
        id: 1,
        method: 'tools/call',
        params: { name: tool, arguments: { path: 'a' } },
      }),
    },
    {
      kind: 'end',
      end: { invocation_id, status: 'completed', ended_at: Date.now(), duration_ms: 3, error_message: null },
      message: encode({ jsonrpc: '2.0', id: 1, result }),
    },
  ]);
  return invocation_id;
}

/** What the gateway and config.json do in the daemon: names to configurations, in memory. */
function memoryServers(): Servers {
  const configs = new Map<string, ServerConfig>();
  const show = (server: string, config: ServerConfig): Server => ({
    server,
    transport: 'command' in config ? 'stdio' : 'http',
    target: targetOf(config),
    state: 'idle',
    connections: 0,
    tools: null,
    error_message: null,
  });
  return {
    list: async () => [...configs].map(([name, config]) => show(name, config)),
    add: async (name, config) => {
      if (configs.has(name)) throw new DaemonError('conflict', `server ${name} is there already: remove it first`);
      configs.set(name, config);
      return show(name, config);
    },
    remove: async name => {
      const config = configs.get(name);
      if (!config) throw new DaemonError('not_found', `server ${name} is not known: list them with servers_list`);
      configs.delete(name);
      return config;
    },
  };
}

function targetOf(config: ServerConfig): string {
  if (typeof config.command !== 'string') return String(config.url);
  return [config.command, ...(Array.isArray(config.args) ? config.args : [])].join(' ');
}

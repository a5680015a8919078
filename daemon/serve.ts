import { randomUUID } from 'node:crypto';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { getRequestListener } from '@hono/node-server';
import type { ServerConfig } from '../shared/server.ts';
import { loadConfig } from './configCheck.ts';
import { addServer, removeServer } from './configEdit.ts';
import { AggregateRoutes } from './gateway/aggregateRoutes.ts';
import { ClientConnection, type ClientOptions, type GatewayContext } from './gateway/clientConnection.ts';
import { connectIn } from './gateway/connect.ts';
import { HttpDownstream } from './gateway/httpDownstream.ts';
import { ListCache } from './gateway/listCache.ts';
import type { OwnTools } from './gateway/ownTools.ts';
import { ServerRegistry } from './gateway/serverRegistry.ts';
import { SessionMemory } from './gateway/sessionMemory.ts';
import { SingleRoutes } from './gateway/singleRoutes.ts';
import { storeSource } from './gateway/storeSource.ts';
import { HistoryWriter } from './history/historyWriter.ts';
import { type Installation, scriptOf } from './installation.ts';
import { createInvoke } from './invoke.ts';
import { JournalRecorder } from './ipc/journalRecorder.ts';
import { ownerId } from './ipc/owner.ts';
import { serveRecords } from './ipc/recordServer.ts';
import { replaySpool } from './ipc/spoolReplay.ts';
import { type Discovery, PROTOCOL, removeDiscovery, writeDiscovery } from './lifecycle/discovery.ts';
import { healthAnswer } from './lifecycle/handshake.ts';
import { type HomePaths, makeFilesPrivate, openSocketFolder } from './lifecycle/home.ts';
import { writeLauncher } from './lifecycle/launcher.ts';
import { acquireLock, type Lock } from './lifecycle/lock.ts';
import { listenOnKeptPort } from './lifecycle/port.ts';
import { keptToken } from './lifecycle/token.ts';
import { sweepTemporary } from './lifecycle/wholeFile.ts';
import { type Log, logInvocation } from './log.ts';
import { redact } from './records/redaction.ts';
import { createHandlers } from './sessions/handlers.ts';
import type { Servers } from './sessions/servers.ts';
import { sqliteBinding } from './store/sqlite/binding.ts';
import { openSqliteStore } from './store/sqlite/sqliteStore.ts';
import type { Store } from './store/store.ts';
import { createEventStreams } from './surfaces/events.ts';
import { createHttpApp } from './surfaces/http.ts';
import { createMcpSurface } from './surfaces/mcp.ts';
import { createSecurity, type Security } from './surfaces/security.ts';
import { userName } from './userName.ts';

/** How long a call of the daemon's own clients waits for the store to say its session. */
const SESSION_WAIT_MS = 2_000;
/** By then stdio processes that outlived the last daemon are back, so what is still running belongs to nobody. */
const RETURN_MS = 3_000;
const LOCK_CHECK_MS = 2_000;
const REPLAY_MS = 60_000;
/** How long a stop waits for .history and .sessions; what is left is written after the next start. */
const HISTORY_MS = 3_000;

export interface RunningDaemon {
  readonly discovery: Discovery;
  /** Resolves when the daemon has to end by itself: its home was taken away. */
  readonly lost: Promise<string>;
  /** Ends calls in flight as interrupted, commits, writes what is left and lets go of the home. */
  stop(): Promise<void>;
}

/** What has to be let go of, in the order in which it was taken. */
type Closers = (() => unknown)[];

/** Starts the daemon of a home; null when another process is it. A start that fails lets go of all that it took. */
export async function startDaemon(
  paths: HomePaths,
  installation: Installation,
  log: Log,
): Promise<RunningDaemon | null> {
  const umask = makeFilesPrivate();
  const lock = acquireLock(paths.lock);
  if (lock === null) return null;
  const closers: Closers = [() => lock.release()];
  try {
    return await compose(paths, installation, log, umask, lock, closers);
  } catch (error) {
    await closeAll(closers);
    throw error;
  }
}

async function closeAll(closers: Closers): Promise<void> {
  for (const close of closers.splice(0).reverse()) await close();
}

async function compose(
  paths: HomePaths,
  installation: Installation,
  log: Log,
  umask: number,
  lock: Lock,
  closers: Closers,
): Promise<RunningDaemon> {
  sweepTemporary(paths.home);
  const { config, faults } = loadConfig(paths.config);
  for (const { message } of faults) log.warn({ home: paths.home }, message);
  const { durability } = config;
  const instance_id = randomUUID();
  const token = keptToken(paths);
  const owner = ownerId();
  const started_at = new Date().toISOString();
  const binding = sqliteBinding();
  const native = binding === undefined ? {} : { nativeBinding: binding };

  const store = await openSqliteStore({
    file: paths.db,
    workerUrl: new URL('storeWorker.js', installation.dist),
    ...native,
    blobDir: paths.blobs,
    durability,
    userId: userName(),
    onFault: error => log.error({ err: error }, 'the store is in trouble'),
  });
  closers.push(() => store.close());
  const replay = (alive: readonly string[]): Promise<unknown> =>
    replaySpool(paths.spool, store, { aliveOwners: [owner, ...alive], log }).catch((error: unknown) =>
      log.error({ err: error }, 'the spool could not be replayed; it is tried again'),
    );
  // before anyone can ask: what a killed daemon had answered is there when its successor is
  await replay([]);
  const history = new HistoryWriter({
    store,
    file: paths.db,
    blobDir: paths.blobs,
    home: paths.home,
    workerUrl: new URL('historyWorker.js', installation.dist),
    ...native,
    onError: error => log.error({ err: error }, 'history is behind; it is tried again'),
  });
  closers.push(() => history.close(HISTORY_MS));

  const registry = new ServerRegistry();
  registry.set(config.mcpServers, faults);
  const handlers = createHandlers(store, serversOf(registry, paths), () => ({
    pid: process.pid,
    port: discovery.port,
    version: installation.version,
    instance_id,
    home: paths.home,
    started_at,
    durability,
    clients: () => downstream.clients + records.owners().length,
  }));
  const invoke = createInvoke(handlers, (reference, operation, cause) =>
    log.error({ err: cause, reference, operation }, 'unexpected error'),
  );
  const ownTools = ownToolsOf(createMcpSurface(invoke, { version: installation.version }));

  const journal = new JournalRecorder({
    store,
    owner,
    spoolDir: paths.spool,
    durability,
    redact,
    onError: error => log.error({ err: error }, 'a call could not be recorded'),
  });
  closers.push(() => journal.close());
  const context: GatewayContext = {
    recorder: journal,
    sessions: new SessionMemory(storeSource(store), SESSION_WAIT_MS),
    connect: connectIn({ cwd: paths.home, env: process.env, umask }, (server, chunk) =>
      log.debug({ server }, chunk.toString('utf8').trimEnd()),
    ),
    owner,
    log: message => log.warn({}, message),
    onLink: link => registry.observe(link),
  };
  const cache = new ListCache(path.join(paths.cache, 'lists'), error => log.warn({ err: error }, 'list cache'));
  const downstream = new HttpDownstream((server, options) =>
    openClient(context, registry, cache, ownTools, installation, server, options),
  );

  registry.onChange(() =>
    downstream.serverChanged((name, connection) => {
      const spec = registry.spec(name);
      return spec === null || !connection.serves(spec);
    }),
  );

  const security = createSecurity({ token, port: () => discovery.port });
  const events = createEventStreams({ log: store, onError: error => log.error({ err: error }, 'event stream') });
  const app = createHttpApp({
    invoke,
    security,
    events,
    version: installation.version,
    health: nonce => healthAnswer(discovery, nonce),
    mediaFolder: fileURLToPath(new URL('media', installation.dist)),
    onError: error => log.error({ err: error }, 'unexpected error'),
  });
  const server = httpServer(security, downstream, getRequestListener(app.fetch, { overrideGlobalObjects: false }), log);
  let discovery: Discovery = {
    pid: process.pid,
    port: 0,
    socket: paths.socket,
    token,
    version: installation.version,
    protocol: PROTOCOL,
    instance_id,
  };
  // A server that still listens would keep the process of a failed start alive.
  closers.push(() => {
    server.close();
    server.closeAllConnections();
  });
  const port = await listenOnKeptPort(paths, config.port, wanted => listen(server, wanted));
  discovery = { ...discovery, port };

  openSocketFolder(paths);
  const records = await serveRecords({
    socketPath: paths.socket,
    token,
    instance_id,
    version: installation.version,
    durability,
    store,
    ownTools,
    log,
  });
  closers.push(() => records.close());
  store.onEvents(changes => {
    history.nudge();
    for (const change of changes) if (change.type === 'invocation.ended') logInvocation(log, change.invocation);
  });
  writeLauncher(paths, { execPath: process.execPath, script: scriptOf(installation) });
  writeDiscovery(paths, discovery);
  closers.push(() => removeDiscovery(paths, instance_id));
  history.start();
  const timers = [
    setTimeout(async () => {
      // a stdio process that started us may have died before it was back: its spool is nobody else's to bring
      await replay(records.owners());
      await endOrphans(store, [owner, ...records.owners()], log);
    }, RETURN_MS),
    setInterval(() => void replay(records.owners()), REPLAY_MS),
  ];
  const lost = new Promise<string>(resolve => {
    timers.push(
      setInterval(() => {
        if (!lock.isIntact()) resolve(`${paths.lock} was taken away`);
      }, LOCK_CHECK_MS),
    );
  });
  closers.push(() => {
    for (const timer of timers) clearTimeout(timer);
  });
  log.info({ port, home: paths.home, version: installation.version }, 'sessiond is up');

  return {
    discovery,
    lost,
    async stop() {
      server.close();
      await downstream.close('sessiond was stopped while the call ran: check whether it ran before you repeat it');
      events.close();
      await closeAll(closers);
      log.info({}, 'sessiond is down');
    },
  };
}

function openClient(
  context: GatewayContext,
  registry: ServerRegistry,
  cache: ListCache,
  ownTools: OwnTools,
  installation: Installation,
  server: string | null,
  options: ClientOptions,
): ClientConnection | null {
  if (server === null) {
    const aggregate = { servers: registry, cache, ownTools, version: installation.version };
    return new ClientConnection(context, options, client => new AggregateRoutes(client, aggregate));
  }
  const spec = registry.spec(server);
  return spec === null ? null : new ClientConnection(context, options, client => new SingleRoutes(client, spec));
}

function httpServer(
  security: Security,
  downstream: HttpDownstream,
  routes: (request: IncomingMessage, response: ServerResponse) => unknown,
  log: Log,
): http.Server {
  const server = http.createServer({ headersTimeout: 15_000, keepAliveTimeout: 65_000 }, (request, response) => {
    if (!/^\/mcp(?:[/?]|$)/.test(request.url ?? '')) {
      void routes(request, response);
      return;
    }
    const refusal = security.authorize(request);
    if (refusal !== null) {
      response.writeHead(refusal.status, refusal.headers).end(refusal.body);
      return;
    }
    downstream.handle(request, response).catch((error: unknown) => {
      log.warn({ err: error }, 'an MCP request over HTTP broke off');
      response.destroy();
    });
  });
  return server;
}

function listen(server: http.Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject);
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}

function serversOf(registry: ServerRegistry, paths: HomePaths): Servers {
  return {
    list: async () => registry.list(),
    async add(name: string, config: ServerConfig) {
      addServer(paths.config, name, config);
      return registry.add(name, config);
    },
    async remove(name: string) {
      const removed = removeServer(paths.config, name);
      registry.remove(name);
      return removed;
    },
  };
}

function ownToolsOf(surface: ReturnType<typeof createMcpSurface>): OwnTools {
  return async (message, caller) => {
    const answer = await surface.handle(JSON.parse(Buffer.from(message).toString('utf8')), {
      surface: 'mcp',
      ...caller,
    });
    return answer === null ? null : Buffer.from(JSON.stringify(answer));
  };
}

async function endOrphans(store: Store, alive: readonly string[], log: Log): Promise<void> {
  try {
    const ended = await store.interruptRunning({ alive });
    if (ended > 0) log.warn({ ended }, 'calls that a crash left running are ended as interrupted');
  } catch (error) {
    log.error({ err: error }, 'calls that a crash left running could not be ended');
  }
}

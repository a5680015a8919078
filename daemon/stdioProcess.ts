import path from 'node:path';
import type { Writable } from 'node:stream';
import { readConfig } from './config.ts';
import { isPlainServer } from './configQuick.ts';
import { AggregateRoutes } from './gateway/aggregateRoutes.ts';
import { environmentConversation } from './gateway/attribution.ts';
import { ClientConnection, type GatewayContext, type GivenSession } from './gateway/clientConnection.ts';
import { connectIn } from './gateway/connect.ts';
import { writeLine } from './gateway/lineWriter.ts';
import { ListCache } from './gateway/listCache.ts';
import type { Routes } from './gateway/routes.ts';
import { fixedServers } from './gateway/serverSet.ts';
import { SessionMemory } from './gateway/sessionMemory.ts';
import { SingleRoutes } from './gateway/singleRoutes.ts';
import { readClient } from './gateway/stdioDownstream.ts';
import { type UpstreamSpec, upstreamSpec } from './gateway/upstreamSpec.ts';
import { type Installation, serveCommand } from './installation.ts';
import { DaemonLink } from './ipc/daemonLink.ts';
import { ownerId } from './ipc/owner.ts';
import type { Log } from './ipc/protocol.ts';
import { SocketRecorder } from './ipc/socketRecorder.ts';
import { readDiscovery } from './lifecycle/discovery.ts';
import { type HomePaths, openHome, resolveHome } from './lifecycle/home.ts';
import { ensureDaemon } from './lifecycle/launch.ts';
import { redact } from './records/redaction.ts';
import { workspaceOf } from './workspace.ts';

/** `stdio` serves every configured server; `wrap` one command, under a name of the user's. */
export type StdioMode =
  | { readonly kind: 'stdio' }
  | { readonly kind: 'wrap'; readonly name: string; readonly command: string; readonly args: readonly string[] };

/** How long a call waits for the daemon to say which session it belongs to; then it goes on without. */
const SESSION_WAIT_MS = 100;
/** How long a client that closed its side is still answered. */
const DRAIN_MS = 1_500;
/** How long a client that has been answered may take to read it. */
const FLUSH_MS = 1_500;

/**
 * The gateway of one assistant, which started it as its MCP server: calls go straight to the upstreams, which are children of
 * this process; records go to the daemon. Resolves when the client is gone and all is handed over.
 */
export async function runStdio(mode: StdioMode, session: string | null, installation: Installation): Promise<void> {
  const log = stderrLog();
  process.stderr.on('error', () => {}); // nobody reads the log any more, which is no reason to end
  // a fault in one call must not end the gateway: most clients never start it again
  process.on('uncaughtException', error => log.error({ err: error }, 'unexpected error; going on'));
  process.on('unhandledRejection', error => log.error({ err: error }, 'unexpected error; going on'));

  const paths = openHome(resolveHome(process.env));
  const owner = ownerId();
  const link = new DaemonLink({
    owner,
    locate: () => locate(paths),
    startDaemon: () => {
      ensureDaemon(paths, serveCommand(installation)).catch((error: Error) => log.warn({}, error.message));
    },
    log,
  });
  const recorder = new SocketRecorder({ link, owner, spoolDir: paths.spool, durability: 'process', redact, log });
  const context: GatewayContext = {
    recorder,
    sessions: new SessionMemory(link, SESSION_WAIT_MS),
    connect: connectIn({ cwd: process.cwd(), env: process.env }, (_server, chunk) => process.stderr.write(chunk)),
    owner,
    log: message => log.warn({}, message),
  };
  const given = sessionOf(session);
  const connection = new ClientConnection(
    context,
    {
      environmentConversation: environmentConversation(process.env),
      connection: owner,
      workspace: workspaceOf(process.cwd()),
      session: () => given,
      send: raw => writeLine(process.stdout, raw),
    },
    client => routesOf(mode, client, paths, link, installation, log),
  );

  let urgent = false;
  const signalled = new Promise<void>(resolve => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
      process.on(signal, () => {
        urgent = true;
        resolve();
      });
    }
    process.stdout.on('error', () => resolve()); // the client no longer reads
  });
  const closed = readClient(process.stdin, connection).then(() => connection.drained(DRAIN_MS));
  await Promise.race([closed, signalled]);
  await connection.close('the client closed the connection while the call ran', urgent);
  await recorder.close();
  await written(process.stdout, FLUSH_MS);
}

/** Resolves when the last answer has gone to the client: the process is about to end. */
function written(output: Writable, ms: number): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(resolve, ms);
    output.write('', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

function routesOf(
  mode: StdioMode,
  client: ClientConnection,
  paths: HomePaths,
  link: DaemonLink,
  installation: Installation,
  log: Log,
): Routes {
  if (mode.kind === 'wrap') {
    const spec = upstreamSpec(mode.name, { command: mode.command, args: [...mode.args] });
    if (spec !== null) return new SingleRoutes(client, spec);
  }
  return new AggregateRoutes(client, {
    servers: fixedServers(configured(paths, log)),
    cache: new ListCache(path.join(paths.cache, 'lists'), error => log.warn({ err: error }, 'the list cache failed')),
    ownTools: (message, caller) => link.ownTools(message, caller),
    version: installation.version,
  });
}

/** The servers of config.json; one that is wrong is told of and left out, as the daemon does it. */
function configured(paths: HomePaths, log: Log): UpstreamSpec[] {
  return readConfig(paths.config).servers.flatMap(({ name, value }) => {
    if (!isPlainServer(name, value)) {
      log.warn({}, `server ${JSON.stringify(name)} of ${paths.config} is left out: "sessiond servers list" says why`);
      return [];
    }
    const spec = upstreamSpec(name, value);
    return spec === null ? [] : [spec];
  });
}

function locate(paths: HomePaths): { socketPath: string; token: string } | null {
  const discovery = readDiscovery(paths);
  return discovery === null ? null : { socketPath: discovery.socket, token: discovery.token };
}

function sessionOf(given: string | null): GivenSession | null {
  if (given !== null) return { id: given, attribution: 'explicit' };
  const variable = process.env.SESSIOND_SESSION_ID;
  return variable === undefined || variable === '' ? null : { id: variable, attribution: 'environment' };
}

/** stderr is the only place where a stdio server may talk; clients show it as the server's log. */
function stderrLog(): Log {
  const verbose = process.env.SESSIOND_LOG === 'debug' || process.env.SESSIOND_LOG === 'trace';
  const say = (fields: object, message: string): void => {
    const { err } = fields as { err?: unknown };
    const cause = err instanceof Error ? `: ${err.message}` : '';
    process.stderr.write(`sessiond: ${message}${cause}\n`);
  };
  return { info: (fields, message) => (verbose ? say(fields, message) : undefined), warn: say, error: say };
}

import { spawn } from 'node:child_process';
import type { Command } from 'commander';
import { createClient } from '../shared/client.ts';
import { type Installation, serveCommand } from './installation.ts';
import type { Discovery } from './lifecycle/discovery.ts';
import { findDaemon } from './lifecycle/handshake.ts';
import { homePaths, openHome, resolveHome } from './lifecycle/home.ts';
import { ensureDaemon } from './lifecycle/launch.ts';
import { stopDaemon } from './lifecycle/stop.ts';
import { consoleLog, fileLog, logLevel } from './log.ts';
import { runCli } from './surfaces/cli/cli.ts';
import { say, type Terminal } from './surfaces/cli/environment.ts';

/** Runs every command but `stdio` and `wrap`; resolves to the exit status. */
export function runCommandLine(argv: readonly string[], installation: Installation): Promise<number> {
  const interrupted = new AbortController();
  process.once('SIGINT', () => interrupted.abort());
  // `sessiond list | head` closes its end early: that is no error
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 74));
  return runCli(
    argv,
    {
      connect: async () => {
        const { port, token } = await ensureDaemon(openHome(resolveHome(process.env)), serveCommand(installation));
        return createClient({ url: `http://127.0.0.1:${port}`, token });
      },
      stdout: process.stdout,
      stderr: process.stderr,
      cwd: process.cwd(),
      variables: process.env,
      version: installation.version,
      signal: interrupted.signal,
      openUrl,
    },
    (program, terminal) => addProcessCommands(program, terminal, installation, interrupted),
  );
}

const DAEMON = 'The daemon:';
const ASSISTANTS = 'Started by assistants, as their configurations name them:';

function addProcessCommands(
  program: Command,
  terminal: Terminal,
  installation: Installation,
  interrupted: AbortController,
): void {
  program
    .command('serve')
    .helpGroup(DAEMON)
    .description('Run the daemon in this terminal until Ctrl-C')
    .option('--background', 'log to the home only, as `sessiond start` does it')
    .addHelpText('after', '\nExamples:\n  sessiond serve\n  SESSIOND_HOME=/tmp/try sessiond serve')
    .action((options: { background?: boolean }) =>
      serve(terminal, installation, interrupted, options.background === true),
    );
  program
    .command('start')
    .helpGroup(DAEMON)
    .description('Start the daemon in the background, unless it runs')
    .option('--json', 'print what runs as JSON')
    .addHelpText('after', '\nExamples:\n  sessiond start\n  sessiond start --json')
    .action(async (options: { json?: boolean }) => {
      const found = await ensureDaemon(openHome(resolveHome(process.env)), serveCommand(installation));
      showDaemon(terminal, found, options.json === true);
    });
  program
    .command('stop')
    .helpGroup(DAEMON)
    .summary('Stop the daemon')
    .description('Stop the daemon; calls in flight over HTTP are recorded as interrupted')
    .option('--json', 'print what came of it as JSON')
    .addHelpText('after', '\nExamples:\n  sessiond stop\n  sessiond stop --json')
    .action(async (options: { json?: boolean }) => {
      const stopped = await stopDaemon(homePaths(resolveHome(process.env)));
      if (options.json === true) say(terminal, JSON.stringify(stopped));
      else if (stopped.outcome === 'not_running') say(terminal, 'sessiond does not run');
      else if (stopped.outcome === 'stopped') say(terminal, `sessiond (pid ${stopped.pid}) is stopped`);
      else say(terminal, `sessiond (pid ${stopped.pid}) still ends its work: look again in a moment`);
    });
  program
    .command('status')
    .helpGroup(DAEMON)
    .summary('Say whether the daemon runs')
    .description('Say whether the daemon runs, without starting it; exit status 3 when it does not')
    .option('--json', 'print what runs as JSON')
    .addHelpText('after', '\nExamples:\n  sessiond status\n  sessiond status --json')
    .action(async (options: { json?: boolean }) => {
      const found = await findDaemon(homePaths(resolveHome(process.env)));
      if (found !== null) showDaemon(terminal, found, options.json === true);
      else {
        say(
          terminal,
          options.json === true ? JSON.stringify({ running: false }) : 'sessiond does not run: sessiond start',
        );
        process.exitCode = 3;
      }
    });
  program
    .command('stdio')
    .helpGroup(ASSISTANTS)
    .summary('Be the MCP server of an assistant')
    .description('Be the MCP server of one assistant: all servers of config.json, every call recorded')
    .option('--session <id>', 'the session of every call')
    .addHelpText('after', '\nExamples:\n  sessiond stdio\n  sessiond stdio --session debug-auth');
  program
    .command('wrap')
    .helpGroup(ASSISTANTS)
    .summary('Stand before one MCP server and record its calls')
    .description('Stand before one MCP server and record every call to it; nothing else changes')
    .argument('<name>', 'what the server is called in records')
    .option('--session <id>', 'the session of every call')
    .usage('<name> [options] -- <command> [args...]')
    .addHelpText('after', '\nExamples:\n  sessiond wrap files -- npx -y @modelcontextprotocol/server-filesystem .');
}

function showDaemon(terminal: Terminal, found: Discovery, json: boolean): void {
  const { pid, port, version, instance_id } = found;
  if (json) say(terminal, JSON.stringify({ running: true, pid, port, version, instance_id }));
  else say(terminal, `sessiond ${version} runs (pid ${pid}), http://127.0.0.1:${port}`);
}

async function serve(
  terminal: Terminal,
  installation: Installation,
  interrupted: AbortController,
  background: boolean,
): Promise<void> {
  // Where the disk is full or nobody reads any more, a line is lost, and not the daemon.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  const paths = openHome(resolveHome(process.env));
  const { startDaemon } = await import('./serve.ts');
  const level = logLevel(process.env);
  const file = background ? fileLog(paths.logs, level) : null;
  const log = file?.log ?? consoleLog(level);
  const daemon = await startDaemon(paths, installation, log);
  if (daemon === null) {
    const other = await findDaemon(paths);
    say(
      terminal,
      other === null ? 'another sessiond is starting in this home' : `sessiond runs already (pid ${other.pid})`,
    );
    await file?.close();
    return;
  }
  if (!background)
    say(terminal, `sessiond ${installation.version} listens on http://127.0.0.1:${daemon.discovery.port}`);
  const terminated = new Promise<void>(resolve => {
    process.once('SIGTERM', () => resolve());
    interrupted.signal.addEventListener('abort', () => resolve());
  });
  const why = await Promise.race([terminated, daemon.lost]);
  if (typeof why === 'string') log.error({}, `${why}: another daemon may run there, so this one ends`);
  await daemon.stop();
  await file?.close();
  // a signal is the ordinary way to end; what it left open (a client that reads no more) must not hold the process
  process.exit(0);
}

function openUrl(url: string): Promise<void> {
  const [file, args] =
    process.platform === 'darwin'
      ? ['open', [url]]
      : process.platform === 'win32'
        ? ['rundll32', ['url.dll,FileProtocolHandler', url]]
        : ['xdg-open', [url]];
  return new Promise((resolve, reject) => {
    const child = spawn(file as string, args as string[], { stdio: 'ignore', detached: true });
    child.once('error', reject);
    child.once('spawn', () => {
      child.unref();
      resolve();
    });
  });
}

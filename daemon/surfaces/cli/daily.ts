import { type Command, Option } from 'commander';
import type { Client } from '../../../shared/client.ts';
import { DaemonError } from '../../../shared/errors.ts';
import type { DaemonEvent } from '../../../shared/events.ts';
import type { ServerConfig } from '../../../shared/server.ts';
import { sessionLabel } from '../../../shared/sessionLabel.ts';
import { addCommonFlags, DAILY, runOperation } from './derived.ts';
import { say, type Terminal } from './environment.ts';
import { eventLine, sessionWithCalls } from './render.ts';
import { safeJson } from './text.ts';

const SHOWN_CALLS = 20;
const MOST_LABELS = 1000;

/** Adds the daily commands that are more than one operation: show, tag, tail and open. */
export function addDaily(program: Command, terminal: Terminal): void {
  addShow(program, terminal);
  addTag(program, terminal);
  addTail(program, terminal);
  addOpen(program, terminal);
}

function addShow(program: Command, terminal: Terminal): void {
  const command = program.command('show').helpGroup(DAILY).argument('<session_id>');
  command
    .description(`Show a session with its newest ${SHOWN_CALLS} calls.`)
    .summary('Show a session with its newest calls');
  addCommonFlags(command).addHelpText('after', examples('sessiond show debug-auth', 'sessiond show debug-auth --json'));
  command.action(async (session_id: string, options: { json?: boolean }) => {
    const client = await terminal.connect();
    const session = await client.call('sessions_get', { session_id });
    const invocations = await client.call('invocations_list', { session_id, limit: SHOWN_CALLS });
    say(
      terminal,
      options.json ? safeJson({ session, invocations }) : sessionWithCalls(session, invocations.items, terminal),
    );
  });
}

function addTag(program: Command, terminal: Terminal): void {
  const command = program.command('tag').helpGroup(DAILY).argument('<session_id>').argument('<tags...>');
  command.description('Give a session tags, or take them away.').summary('Give a session tags, or take them away');
  command.option('--remove', 'take these tags away');
  addCommonFlags(command).addHelpText(
    'after',
    examples('sessiond tag debug-auth urgent backend', 'sessiond tag debug-auth urgent --remove'),
  );
  command.action(async (session_id: string, tags: string[], options: { json?: boolean; remove?: boolean }) => {
    const change = options.remove ? { remove_tags: tags } : { add_tags: tags };
    await runOperation('sessions_update', { session_id, ...change }, options.json === true, terminal);
  });
}

function addTail(program: Command, terminal: Terminal): void {
  const command = program.command('tail').helpGroup(DAILY);
  command.description('Follow what happens, until Ctrl-C.').summary('Follow what happens, until Ctrl-C');
  command.option('--session <session_id>', 'this session only');
  command.option('--after <seq>', 'begin after this event instead of now');
  addCommonFlags(command).addHelpText('after', examples('sessiond tail', 'sessiond tail --session debug-auth --json'));
  command.action(async (options: { json?: boolean; session?: string; after?: string }) => {
    if (options.after !== undefined && !/^\d{1,15}$/.test(options.after))
      throw new DaemonError(
        'invalid_input',
        `after ${JSON.stringify(options.after)}: give the seq of an event, a number`,
      );
    const client = await terminal.connect();
    const events = client.events({
      signal: terminal.signal,
      ...(options.session === undefined ? {} : { session_id: options.session }),
      ...(options.after === undefined ? {} : { after: Number(options.after) }),
      onState: change => {
        if (change.state === 'lost') terminal.stderr.write(`sessiond: ${change.error.message}; retrying\n`);
      },
    });
    if (!options.json && terminal.stdout.isTTY)
      terminal.stderr.write(`${terminal.paint('dim', 'Calls show here as they happen; Ctrl-C ends this.')}\n`);
    const labels = new Map<string, string>();
    for await (const event of events) {
      if (event.type === 'resync') terminal.stderr.write('sessiond: some events were missed here\n');
      else if (options.json) say(terminal, safeJson(event));
      else say(terminal, eventLine(event, await labelOf(event, labels, client), terminal));
    }
  });
}

/** The name of an event's session, asked for once and then kept up by the events that tell of it. */
async function labelOf(event: DaemonEvent, labels: Map<string, string>, client: Client): Promise<string> {
  const { session_id } = event;
  if (session_id === null) return 'in no session';
  const known = 'session' in event ? sessionLabel(event.session) : labels.get(session_id);
  const label =
    known ??
    (await client.call('sessions_get', { session_id }).then(
      sessionLabel,
      // Gone or out of reach: its id names it, and following goes on.
      () => session_id,
    ));
  if (labels.size >= MOST_LABELS) labels.clear();
  labels.set(session_id, label);
  return label;
}

function addOpen(program: Command, terminal: Terminal): void {
  const command = program.command('open').helpGroup(DAILY);
  command.description('Open the page in a browser, by a link that works once.').summary('Open the page in a browser');
  command.option('--no-open', 'only print the link');
  addCommonFlags(command).addHelpText('after', examples('sessiond open', 'sessiond open --no-open'));
  command.action(async (options: { json?: boolean; open: boolean }) => {
    const client = await terminal.connect();
    const link = await client.pageLink();
    say(terminal, options.json ? safeJson(link) : link.url);
    if (!options.open || options.json || terminal.variables.CI || !terminal.stdout.isTTY) return;
    try {
      await terminal.openUrl(link.url);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      terminal.stderr.write(`sessiond: no browser could be started (${why}): open the link yourself\n`);
    }
  });
}

interface AddOptions {
  json?: boolean;
  config?: string;
  url?: string;
  env?: string[];
}

/** Adds `servers add`, which takes a server's command line as a shell has it. */
export function addServersAdd(servers: Command, terminal: Terminal): void {
  const gather = (value: string, before: unknown): string[] => [...(Array.isArray(before) ? before : []), value];
  const command = servers.command('add').argument('<server>').argument('[command...]', 'after --, with its arguments');
  command
    .description('Put an MCP server behind the gateway; its command runs with your rights.')
    .summary('Add a server');
  command.option('--config <json>', 'its whole configuration, as in mcpServers');
  command.option('--url <url>', 'a server on HTTP');
  command.addOption(
    new Option('--env <NAME=value>', 'a variable of its environment; repeat for more').argParser(gather),
  );
  addCommonFlags(command).addHelpText(
    'after',
    examples(
      'sessiond servers add files -- npx -y @modelcontextprotocol/server-filesystem .',
      'sessiond servers add docs --url https://example.com/mcp',
      `sessiond servers add files --config '{"command":"npx","args":["-y","@modelcontextprotocol/server-filesystem","."]}'`,
    ),
  );
  command.action(async (server: string, words: string[], options: AddOptions) => {
    const config = serverConfigOf(server, words, options);
    await runOperation('servers_add', { server, config }, options.json === true, terminal);
  });
}

function serverConfigOf(server: string, [command, ...args]: string[], { config, url, env }: AddOptions): ServerConfig {
  const given = [config, url, command].filter(each => each !== undefined);
  if (given.length !== 1)
    throw new DaemonError('invalid_input', `what is ${server}? give one of -- COMMAND ARGS..., --url or --config`);
  if (config !== undefined) {
    try {
      // The daemon checks it against the schema.
      return JSON.parse(config) as ServerConfig;
    } catch (cause) {
      throw new DaemonError('invalid_input', `--config ${JSON.stringify(config.slice(0, 80))}: is not JSON`, { cause });
    }
  }
  if (command === undefined) return { url: url ?? '' };
  const pairs = (env ?? []).map(pair => {
    const at = pair.indexOf('=');
    if (at < 1) throw new DaemonError('invalid_input', `--env ${JSON.stringify(pair.slice(0, 80))}: use NAME=value`);
    return [pair.slice(0, at), pair.slice(at + 1)] as const;
  });
  return { command, args, ...(pairs.length > 0 ? { env: Object.fromEntries(pairs) } : {}) };
}

function examples(...lines: string[]): string {
  return `\nExamples:\n${lines.map(line => `  ${line}`).join('\n')}`;
}

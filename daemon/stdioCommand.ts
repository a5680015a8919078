import { DaemonError, errorTable } from '../shared/errors.ts';
import type { Installation } from './installation.ts';
import { runStdio, type StdioMode } from './stdioProcess.ts';

/** Runs `sessiond stdio` or `sessiond wrap`; resolves to the exit status. Their help is in commandLine.ts. */
export async function stdioCommand(
  command: 'stdio' | 'wrap',
  args: readonly string[],
  installation: Installation,
): Promise<number> {
  try {
    const { mode, session } = parse(command, args);
    await runStdio(mode, session, installation);
    return 0;
  } catch (error) {
    const known = error instanceof DaemonError ? error : null;
    process.stderr.write(`sessiond: ${error instanceof Error ? error.message : String(error)}\n`);
    return errorTable[known?.code ?? 'internal'].exit;
  }
}

function parse(command: 'stdio' | 'wrap', args: readonly string[]): { mode: StdioMode; session: string | null } {
  const { session, positionals } = options(command, args);
  const [name, ...more] = positionals;
  if (command === 'stdio') {
    if (name !== undefined) throw usage(`sessiond stdio takes no ${JSON.stringify(name)}`);
    return { mode: { kind: 'stdio' }, session };
  }
  const [file, ...fileArgs] = more;
  if (name === undefined || file === undefined) {
    throw usage('sessiond wrap needs a name, then --, then the command of the MCP server');
  }
  return { mode: { kind: 'wrap', name, command: file, args: fileArgs }, session };
}

/**
 * Our options end where the wrapped command begins: at `--`, or at the second word, since some clients take a `--` out of the
 * command lines that they are given.
 */
function options(command: string, args: readonly string[]): { session: string | null; positionals: string[] } {
  const positionals: string[] = [];
  let session: string | null = null;
  for (let i = 0; i < args.length; i += 1) {
    const arg = args[i] ?? '';
    if (arg === '--') return { session, positionals: [...positionals, ...args.slice(i + 1)] };
    if (arg === '--session' || arg.startsWith('--session=')) {
      const value = arg === '--session' ? args[++i] : arg.slice('--session='.length);
      if (value === undefined) throw new DaemonError('invalid_input', '--session needs an id');
      session = value;
    } else if (arg.startsWith('-')) {
      throw new DaemonError(
        'invalid_input',
        `sessiond ${command} has no option ${JSON.stringify(arg)}: see "sessiond ${command} --help"`,
      );
    } else {
      positionals.push(arg);
      if (positionals.length === 2) return { session, positionals: [...positionals, ...args.slice(i + 1)] };
    }
  }
  return { session, positionals };
}

function usage(what: string): DaemonError {
  return new DaemonError(
    'invalid_input',
    `${what}. Example: sessiond wrap files -- npx -y @modelcontextprotocol/server-filesystem .`,
  );
}

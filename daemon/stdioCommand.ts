import { parseArgs } from 'node:util';
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
  const end = args.indexOf('--');
  const own = end === -1 ? args : args.slice(0, end);
  const [file, ...fileArgs] = end === -1 ? [] : args.slice(end + 1);
  let parsed: { values: { session?: string }; positionals: string[] };
  try {
    parsed = parseArgs({ args: [...own], options: { session: { type: 'string' } }, allowPositionals: true });
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new DaemonError('invalid_input', `${message}. See "sessiond ${command} --help"`, { cause });
  }
  const session = parsed.values.session ?? null;
  const [name, ...more] = parsed.positionals;
  if (command === 'stdio') {
    if (name !== undefined || file !== undefined)
      throw usage(`sessiond stdio takes no ${JSON.stringify(name ?? file)}`);
    return { mode: { kind: 'stdio' }, session };
  }
  if (name === undefined || more.length > 0 || file === undefined) {
    throw usage('sessiond wrap needs a name, then --, then the command of the MCP server');
  }
  return { mode: { kind: 'wrap', name, command: file, args: fileArgs }, session };
}

function usage(what: string): DaemonError {
  return new DaemonError(
    'invalid_input',
    `${what}. Example: sessiond wrap files -- npx -y @modelcontextprotocol/server-filesystem .`,
  );
}

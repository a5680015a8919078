import { Command, CommanderError } from 'commander';
import { DaemonError, errorTable } from '../../../shared/errors.ts';
import { addDaily, addServersAdd } from './daily.ts';
import { addAliases, addNouns, nounCommand } from './derived.ts';
import type { CliEnvironment, Terminal } from './environment.ts';
import { painter, plain } from './text.ts';

/** Registers commands besides those of the operations. */
export type ExtraCommands = (program: Command, terminal: Terminal) => void;

const FALLBACK_WIDTH = 80;

/**
 * Runs one command line (without node and script) and resolves to the exit status; never rejects. stdout gets the answer
 * only; an error is one line on stderr, `sessiond: message`, with the exit status of the error table.
 */
export async function runCli(
  argv: readonly string[],
  environment: CliEnvironment,
  extraCommands: ExtraCommands = () => {},
): Promise<number> {
  const terminal = terminalOf(argv, environment);
  const program = createProgram(terminal);
  // In the order of the help.
  addAliases(program, terminal);
  addDaily(program, terminal);
  extraCommands(program, terminal);
  addNouns(program, terminal, ['servers_add']);
  addServersAdd(nounCommand(program, 'servers'), terminal);
  settle(program, terminal);
  try {
    if (argv.length === 0) {
      terminal.stdout.write(program.helpInformation());
      return 0;
    }
    await program.parseAsync([...argv], { from: 'user' });
    // A command that did its work may still have a status to give, as `status` has when nothing runs.
    return typeof process.exitCode === 'number' ? process.exitCode : 0;
  } catch (error) {
    return report(error, terminal);
  }
}

function terminalOf(argv: readonly string[], environment: CliEnvironment): Terminal {
  const { stdout, variables } = environment;
  const watched = stdout.isTTY === true;
  return {
    connect: () => environment.connect(),
    openUrl: url => environment.openUrl(url),
    stdout,
    stderr: environment.stderr,
    cwd: environment.cwd,
    variables,
    version: environment.version,
    signal: environment.signal,
    paint: painter(watched, variables, argv),
    width: watched ? (stdout.columns ?? FALLBACK_WIDTH) : null,
    now: environment.now ?? Date.now,
  };
}

function createProgram({ version }: Terminal): Command {
  return (
    new Command('sessiond')
      .description('Sessions for AI assistants: see, find and continue everything they did.')
      // The program's own flags stand before the command: an operation has a `--version` too.
      .enablePositionalOptions()
      .commandsGroup('More:')
      .version(version, '-V, --version', 'print the version')
      .option('--no-color', 'print without colours')
      .addHelpText('after', '\nExamples:\n  sessiond list\n  sessiond show SESSION\n  sessiond tail\n  sessiond open')
  );
}

/** Commander copies these to a command when it is made; those that others registered get them here. */
function settle(command: Command, terminal: Terminal): void {
  command.exitOverride().showSuggestionAfterError(true);
  command.configureOutput({
    writeOut: text => terminal.stdout.write(text),
    writeErr: text => terminal.stderr.write(text),
    getOutHelpWidth: () => terminal.width ?? FALLBACK_WIDTH,
    getErrHelpWidth: () => terminal.width ?? FALLBACK_WIDTH,
    outputError: (text, write) => write(`sessiond: ${plain(text.replace(/^error: /, ''))}\n`),
  });
  for (const each of command.commands) settle(each, terminal);
}

function report(error: unknown, terminal: Terminal): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : errorTable.invalid_input.exit;
  if (terminal.signal.aborted) return 130;
  const known =
    error instanceof DaemonError
      ? error
      : new DaemonError('internal', error instanceof Error ? error.message : String(error), { cause: error });
  terminal.stderr.write(`sessiond: ${plain(known.message)}\n`);
  return errorTable[known.code].exit;
}

#!/usr/bin/env node
import type { Installation } from './installation.ts';
import { runtimeFault } from './runtimeCheck.ts';

/** Put in by the build. */
declare const SESSIOND_VERSION: string;

// Everything else is loaded only after this check: an older Node crashes without a word when it loads SQLite.
const fault = runtimeFault(process.versions);
if (fault !== null) {
  process.stderr.write(`${fault}\n`);
  process.exit(78);
}

const installation: Installation = { dist: new URL('.', import.meta.url), version: SESSIOND_VERSION };
const [command, ...rest] = process.argv.slice(2);

// These two are started by assistants, who wait: they load the gateway and nothing else.
if ((command === 'stdio' || command === 'wrap') && !asksForHelp(rest)) {
  const { stdioCommand } = await import('./stdioCommand.ts');
  process.exit(await stdioCommand(command, rest, installation));
} else {
  const { runCommandLine } = await import('./commandLine.ts');
  process.exitCode = await runCommandLine(process.argv.slice(2), installation);
}

/** `--help` of ours, not of the command that is wrapped. */
function asksForHelp(args: readonly string[]): boolean {
  const end = args.findIndex((arg, i) => arg === '--' || (i > 0 && !arg.startsWith('-')));
  return (end === -1 ? args : args.slice(0, end)).some(arg => arg === '--help' || arg === '-h');
}

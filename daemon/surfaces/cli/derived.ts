import { type Command, Option } from 'commander';
import type { Operation } from '../../../shared/operation.ts';
import { type OperationInput, type OperationName, operations } from '../../../shared/operations/table.ts';
import { choicesOf, fromText, isNullable, isOptional, isTime, textKind } from '../inputText.ts';
import { say, type Terminal } from './environment.ts';
import { render } from './render.ts';
import { safeJson } from './text.ts';
import { workspacePath } from './workspacePath.ts';

type Input = Record<string, unknown>;

/** The heading of the daily commands in the help. */
export const DAILY = 'Every day:';

/** Adds the short form of every operation that has one: `sessiond list`. */
export function addAliases(program: Command, terminal: Terminal): void {
  for (const name of Object.keys(operations) as OperationName[]) {
    const record: Operation = operations[name];
    const { alias } = record.cli;
    if (alias !== undefined && record.surfaces.includes('cli'))
      define(program.command(alias).helpGroup(DAILY), name, record, terminal);
  }
}

/** Adds `sessiond noun verb` for every operation on the CLI. `skip` are written by hand elsewhere. */
export function addNouns(program: Command, terminal: Terminal, skip: readonly OperationName[]): void {
  const nouns = new Map<string, string[]>();
  for (const name of Object.keys(operations) as OperationName[]) {
    const record: Operation = operations[name];
    if (!record.surfaces.includes('cli')) continue;
    const [noun = '', ...words] = name.split('_');
    const verb = words.join('-');
    const verbs = nouns.get(noun);
    if (verbs) verbs.push(verb);
    else {
      nouns.set(noun, [verb]);
      program.command(noun).helpGroup('All operations, by noun:');
    }
    if (!skip.includes(name)) define(nounCommand(program, noun).command(verb), name, record, terminal);
  }
  for (const [noun, verbs] of nouns) nounCommand(program, noun).summary(verbs.join(', '));
}

/** The command of a noun, as addNouns made it. */
export function nounCommand(program: Command, noun: string): Command {
  const found = program.commands.find(command => command.name() === noun);
  if (!found) throw new Error(`no noun ${noun}`);
  return found;
}

/** Runs an operation and prints its output: the wire shape with --json, else for a person. */
export async function runOperation<N extends OperationName>(
  name: N,
  input: OperationInput<N>,
  json: boolean,
  terminal: Terminal,
): Promise<void> {
  const client = await terminal.connect();
  const output = await client.call(name, input, { signal: terminal.signal });
  say(terminal, json ? safeJson(output) : render(name, output, terminal));
}

/** The flag of an input key: `session_id` → `--session-id`. */
export function flagOf(key: string): string {
  return `--${key.replaceAll('_', '-')}`;
}

/** Adds the flags that every command has. */
export function addCommonFlags(command: Command): Command {
  return command
    .option('--json', 'print the exact wire shape and nothing else')
    .option('--no-color', 'print without colours');
}

function define(command: Command, name: OperationName, record: Operation, terminal: Terminal): void {
  const { positionals = [], examples } = record.cli;
  const shape = record.input.shape;
  command.description(record.summary).summary(record.summary.replace(/[,:;].*|\.$/, ''));
  for (const key of positionals) {
    const schema = shape[key];
    if (schema) command.argument(isOptional(schema) ? `[${key}]` : `<${key}>`, describe(schema));
  }
  const flagged = Object.entries(shape).filter(([key]) => !positionals.includes(key));
  for (const [key, schema] of flagged) addFlag(command, key, schema);
  for (const key of positionals) {
    const schema = shape[key];
    if (schema && isNullable(schema)) command.option(`--no-${key.replaceAll('_', '-')}`, `clear ${key}`);
  }
  addCommonFlags(command).addHelpText('after', `\nExamples:\n${examples.map(line => `  ${line}`).join('\n')}`);
  command.action(async (...given: unknown[]) => {
    const options = command.opts<Input>();
    const input: Input = {};
    positionals.forEach((key, at) => {
      const schema = shape[key];
      const text = given[at];
      if (schema && typeof text === 'string') input[key] = fromText(schema, text);
    });
    for (const [key, schema] of flagged) {
      const value = options[camelCase(key)];
      if (value === undefined) continue;
      // `--no-title` says false where no boolean is meant: take the value away.
      const cleared = value === false && textKind(schema) !== 'boolean';
      input[key] = cleared ? null : typeof value === 'string' ? fromText(schema, value) : value;
    }
    const filled = fillWorkspace(name, input, terminal.cwd);
    // The daemon checks it; the type is what code would have to give.
    await runOperation(name, filled as OperationInput<typeof name>, options.json === true, terminal);
  });
}

/** A folder is given as a shell has it, and `--activate` alone means the folder one is in. */
function fillWorkspace(name: OperationName, input: Input, cwd: string): Input {
  const given = input.workspace ?? (name === 'sessions_create' && input.activate === true ? '.' : undefined);
  return typeof given === 'string' ? { ...input, workspace: workspacePath(given, cwd) } : input;
}

function addFlag(command: Command, key: string, schema: Operation['input']['shape'][string]): void {
  const flag = flagOf(key);
  const kind = textKind(schema);
  const text = describe(schema);
  if (kind === 'boolean') {
    command.option(flag, text);
    return;
  }
  const needed = isOptional(schema) ? '' : ' (needed)';
  if (kind === 'list') {
    const gather = (value: string, before: unknown): string[] => [...(Array.isArray(before) ? before : []), value];
    command.addOption(
      new Option(`${flag} <value>`, `${text}${needed}; repeat for more`.replace(/^; /, '')).argParser(gather),
    );
    return;
  }
  command.option(`${flag} <${isTime(schema) ? 'time' : kind === 'text' ? 'value' : kind}>`, `${text}${needed}`.trim());
  if (isNullable(schema)) command.option(flag.replace('--', '--no-'), `clear ${key}`);
}

function describe(schema: Operation['input']['shape'][string]): string {
  const choices = choicesOf(schema);
  const parts = [schema.description ?? '', choices ? `one of ${choices.join(', ')}` : ''];
  return parts.filter(part => part !== '').join('; ');
}

function camelCase(key: string): string {
  return key.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
}

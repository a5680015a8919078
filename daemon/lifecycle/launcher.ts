import { chmodSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type HomePaths, makeFolder } from './home.ts';
import { readPrivate } from './privateFile.ts';
import { writeWhole } from './wholeFile.ts';

export interface LauncherTarget {
  /** Absolute path of Node, or of an Electron program that is to act as Node. */
  readonly execPath: string;
  /** Absolute path of sessiond.js. */
  readonly script: string;
}

/**
 * Writes home/bin/sessiond (for a POSIX shell, 0700) and home/bin/sessiond.cmd, which run the script with the arguments
 * that they get, in this home unless SESSIOND_HOME names another. Configurations name these files, so they stay when the paths inside change. Returns true when one was
 * written: one that is right already is left alone.
 */
export function writeLauncher(paths: HomePaths, target: LauncherTarget): boolean {
  makeFolder(paths.bin);
  const posix = writeDifferent(join(paths.bin, 'sessiond'), posixScript(target, paths.home));
  const windows = writeDifferent(join(paths.bin, 'sessiond.cmd'), windowsScript(target, paths.home));
  return posix || windows;
}

function writeDifferent(path: string, content: string): boolean {
  if (readPrivate(path) === content) {
    if (process.platform !== 'win32' && (statSync(path).mode & 0o777) !== 0o700) chmodSync(path, 0o700);
    return false;
  }
  writeWhole(path, content, 0o700);
  return true;
}

/** VS Code's own Node is an Electron program; as plain Node it needs no variable, which its children would inherit. */
function isElectron(execPath: string): boolean {
  return !/^node(js)?[\d.-]*(\.exe)?$/i.test(execPath.split(/[/\\]/).at(-1) ?? execPath);
}

function posixScript({ execPath, script }: LauncherTarget, home: string): string {
  const electron = isElectron(execPath) ? 'ELECTRON_RUN_AS_NODE=1 ' : '';
  return `#!/bin/sh
# Written by sessiond; it is written again when sessiond moves or is upgraded.
for file in ${quoted(execPath)} ${quoted(script)}; do
  [ -f "$file" ] && continue
  echo "sessiond: $file is gone: start VS Code with the extension, or run sessiond from where it is installed now, once" >&2
  exit 127
done
# Several clients start their servers with an environment of a few variables: the home is known from here.
[ -n "$SESSIOND_HOME" ] || SESSIOND_HOME=${quoted(home)}
export SESSIOND_HOME
${electron}exec ${quoted(execPath)} ${quoted(script)} "$@"
`;
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

function windowsScript({ execPath, script }: LauncherTarget, home: string): string {
  const ascii = [...execPath, ...script, ...home].every(character => character < '\u0080');
  return [
    '@echo off',
    'rem Written by sessiond; it is written again when sessiond moves or is upgraded.',
    // cmd.exe reads this file in the code page of the console.
    ...(ascii ? [] : ['chcp 65001 >nul']),
    'setlocal DisableDelayedExpansion',
    `if not defined SESSIOND_HOME set "SESSIOND_HOME=${home.replaceAll('%', '%%')}"`,
    ...(isElectron(execPath) ? ['set "ELECTRON_RUN_AS_NODE=1"'] : []),
    `"${execPath.replaceAll('%', '%%')}" "${script.replaceAll('%', '%%')}" %*`,
    '',
  ].join('\r\n');
}

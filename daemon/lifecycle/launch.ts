import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, constants, fstatSync, ftruncateSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DaemonError } from '../../shared/errors.ts';
import { daemonEnvironment } from './daemonEnvironment.ts';
import type { Discovery } from './discovery.ts';
import { findDaemon } from './handshake.ts';
import { type HomePaths, makeFolder } from './home.ts';

/** How a daemon is started. Of `env` only what daemonEnvironment keeps is passed on. */
export interface DaemonCommand {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

const POLL_MS = 25;
const START_MS = 20_000;
/** How long after the end of a child another daemon may take to show itself. */
const GRACE_MS = 1000;
const LARGEST_ERRORS = 1024 * 1024;
const SHOWN = 600;

interface Launch {
  readonly ended: { readonly at: number; readonly how: string; readonly failed: boolean } | null;
  /** The last line that the child wrote to standard error. */
  lastLine(): string;
}

/**
 * The daemon of a home, started when none runs; it outlives this process. Many callers at once, in any number of
 * processes, end with one daemon: a child that finds the lock taken has to exit with status 0. Rejects with `unavailable`,
 * with the child's last line on standard error, when it fails, or after `patience_ms` (20000).
 */
export async function ensureDaemon(
  paths: HomePaths,
  command: DaemonCommand,
  patience_ms = START_MS,
): Promise<Discovery> {
  const until = performance.now() + patience_ms;
  let found = await findDaemon(paths);
  if (found !== null) return found;
  let launch = launchDaemon(paths, command);
  for (;;) {
    await sleep(POLL_MS);
    found = await findDaemon(paths);
    if (found !== null) return found;
    const now = performance.now();
    const { ended } = launch;
    if (now >= until) throw failed(paths, `gave no sign in ${patience_ms} ms`, launch.lastLine());
    if (ended === null || now - ended.at < GRACE_MS) continue;
    if (ended.failed) throw failed(paths, ended.how, launch.lastLine());
    // It found another daemon, and that one is gone by now.
    launch = launchDaemon(paths, command);
  }
}

function launchDaemon(paths: HomePaths, command: DaemonCommand): Launch {
  makeFolder(paths.logs);
  const path = errorsPath(paths);
  const { O_APPEND, O_CREAT, O_NOFOLLOW, O_RDWR } = constants;
  const errors = openSync(path, O_RDWR | O_APPEND | O_CREAT | (O_NOFOLLOW ?? 0), 0o600);
  let child: ChildProcess;
  let begin: number;
  try {
    if (fstatSync(errors).size > LARGEST_ERRORS) ftruncateSync(errors, 0);
    begin = fstatSync(errors).size;
    child = spawn(command.file, command.args, {
      cwd: paths.home,
      detached: true,
      env: daemonEnvironment(command.env, paths.home),
      stdio: ['ignore', 'ignore', errors],
      windowsHide: true,
    });
  } finally {
    closeSync(errors);
  }
  let ended: Launch['ended'] = null;
  child.once('error', error => {
    ended = { at: performance.now(), how: error.message, failed: true };
  });
  child.once('exit', (code, signal) => {
    const how = signal === null ? `ended with status ${code}` : `was ended by ${signal}`;
    ended = { at: performance.now(), how, failed: code !== 0 };
  });
  child.unref();
  return {
    get ended() {
      return ended;
    },
    lastLine: () => lastLineAfter(path, begin),
  };
}

function failed(paths: HomePaths, how: string, line: string): DaemonError {
  const what = line === '' ? how : `${how}: ${line}`;
  return new DaemonError('unavailable', `the daemon of ${paths.home} did not start, it ${what}; see ${paths.logs}`);
}

function errorsPath(paths: HomePaths): string {
  return join(paths.logs, 'stderr.log');
}

function lastLineAfter(path: string, begin: number): string {
  const file = openSync(path, 'r');
  try {
    const size = fstatSync(file).size;
    const from = Math.max(begin, size - 64 * 1024);
    const bytes = Buffer.alloc(Math.max(0, size - from));
    readSync(file, bytes, 0, bytes.length, from);
    const lines = bytes.toString('utf8').trimEnd().split('\n');
    // Below an uncaught error Node writes its own version last.
    const told = lines.findLast(line => /\S/.test(line) && !/^(Node\.js v|\s+at |})/.test(line)) ?? '';
    return told.trim().slice(0, SHOWN);
  } finally {
    closeSync(file);
  }
}

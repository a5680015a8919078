import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, type Stats } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { DaemonError } from '../../shared/errors.ts';

/** Every file of a home. */
export interface HomePaths {
  readonly home: string;
  /** A SQLite file that only lock.ts opens: any other open and close of it in the holder would release the lock. */
  readonly lock: string;
  readonly discovery: string;
  readonly db: string;
  readonly blobs: string;
  readonly history: string;
  readonly sessions: string;
  readonly config: string;
  readonly token: string;
  readonly port: string;
  readonly logs: string;
  readonly spool: string;
  readonly cache: string;
  readonly bin: string;
  /** A Unix socket, in the home when its path fits, or a named pipe on Windows. Clients read it from the discovery file. */
  readonly socket: string;
}

// sun_path holds 104 bytes on macOS and 108 on Linux, with the closing zero.
const SOCKET_PATH_BYTES = 100;

/** The home that the environment names: SESSIOND_HOME (absolute, or beginning with ~/), else ~/.sessiond. */
export function resolveHome(env: NodeJS.ProcessEnv): string {
  const given = env.SESSIOND_HOME;
  if (given === undefined || given === '') return join(homedir(), '.sessiond');
  const path = /^~(?=$|[/\\])/.test(given) ? join(homedir(), given.slice(1)) : given;
  if (!isAbsolute(path))
    throw new DaemonError('insecure_home', `SESSIOND_HOME is ${JSON.stringify(given)}: give an absolute path`);
  return resolve(path);
}

/** Names every file of `home`; touches none. */
export function homePaths(home: string): HomePaths {
  return {
    home,
    lock: join(home, 'daemon.lock'),
    discovery: join(home, 'daemon.json'),
    db: join(home, 'sessions.db'),
    blobs: join(home, 'blobs'),
    history: join(home, '.history'),
    sessions: join(home, '.sessions'),
    config: join(home, 'config.json'),
    token: join(home, 'token'),
    port: join(home, 'port'),
    logs: join(home, 'logs'),
    spool: join(home, 'spool'),
    cache: join(home, 'cache'),
    bin: join(home, 'bin'),
    socket: socketPath(home),
  };
}

/**
 * Makes the home, 0700, when there is none, and names its files. Throws `insecure_home` for a symlink, a file, another
 * owner or rights of group or others, with the command that mends it.
 */
export function openHome(home: string): HomePaths {
  makePrivateFolder(home, 'set SESSIOND_HOME to the folder itself');
  return homePaths(home);
}

/** Makes and checks the folder of the socket when that is outside of the home; call it before listening. */
export function openSocketFolder(paths: HomePaths): void {
  if (process.platform === 'win32') return;
  const folder = dirname(paths.socket);
  if (folder !== paths.home) makePrivateFolder(folder, `remove it: rm ${shellQuote(folder)}`);
}

/** Makes a folder inside the home, 0700, when there is none. */
export function makeFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
}

/**
 * From now on files of this process are private unless their mode says otherwise: umask 077, which covers what SQLite
 * makes. Returns the umask from before, which programs that this process starts should run with.
 */
export function makeFilesPrivate(): number {
  return process.umask(0o077);
}

/** A word as a POSIX shell takes it, whatever is in it. */
export function shellQuote(word: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

function makePrivateFolder(path: string, insteadOfSymlink: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (cause) {
    // Something that is no folder is told of below; the rest has its own reason.
    if (!lstatSync(path, { throwIfNoEntry: false }))
      throw new DaemonError('insecure_home', `${path} can't be made: ${reason(cause)}; set SESSIOND_HOME`, { cause });
  }
  const fault = folderFault(path, lstatSync(path), insteadOfSymlink);
  if (fault !== null) throw new DaemonError('insecure_home', fault);
}

function folderFault(path: string, stat: Stats, insteadOfSymlink: string): string | null {
  if (stat.isSymbolicLink()) return `${path} is a symlink: ${insteadOfSymlink}`;
  if (!stat.isDirectory()) return `${path} is not a folder: move it away, or set SESSIOND_HOME to another path`;
  if (process.geteuid === undefined) return null;
  const uid = process.geteuid();
  const quoted = shellQuote(path);
  if (stat.uid !== uid)
    return `${path} belongs to user ${stat.uid}, this is user ${uid}: run sessiond as its owner, or: chown -R ${uid} ${quoted}`;
  if ((stat.mode & 0o077) !== 0)
    return `${path} has mode ${(stat.mode & 0o7777).toString(8)}, open to other users: chmod 700 ${quoted}`;
  return null;
}

function socketPath(home: string): string {
  const hash = createHash('sha256')
    .update(process.platform === 'win32' ? home.toLowerCase() : home)
    .digest('hex')
    .slice(0, 16);
  if (process.platform === 'win32') return `\\\\.\\pipe\\sessiond-${hash}`;
  const uid = process.geteuid?.() ?? 0;
  const candidates = [
    join(home, 'daemon.sock'),
    ...[tmpdir(), '/tmp'].map(folder => join(folder, `sessiond-${uid}-${hash}`, 'daemon.sock')),
  ];
  const fitting = candidates.find(path => Buffer.byteLength(path) <= SOCKET_PATH_BYTES);
  return fitting ?? join('/tmp', `sessiond-${uid}-${hash}`, 'daemon.sock');
}

function reason(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

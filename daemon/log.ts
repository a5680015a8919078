import { once } from 'node:events';
import { stripVTControlCharacters } from 'node:util';
import pino from 'pino';
import { createStream, type RotatingFileStream } from 'rotating-file-stream';
import type { Invocation } from '../shared/invocation.ts';

/** Structured: the fields first, then the message. An error goes into the field `err`, with its cause. */
export type Log = pino.Logger;

export interface LogFile {
  readonly log: Log;
  /** Resolves when every line is in the file; lines after that are dropped. */
  close(): Promise<void>;
}

const GATHER_MS = 100;
const GATHERED_CHARACTERS = 16 * 1024;
const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];
const REOPEN_MS = 5000;
/** Lines wait for a slow disk up to here; beyond it they are dropped, so that a log never fills the memory. */
const WAITING_BYTES = 8 * 1024 * 1024;
const CLOSE_MS = 2000;

/** The level that SESSIOND_LOG names, else `info`. */
export function logLevel(env: NodeJS.ProcessEnv): string {
  const level = env.SESSIOND_LOG?.toLowerCase() ?? '';
  return LEVELS.includes(level) ? level : 'info';
}

/**
 * The log of the daemon: JSON lines in logs/daemon.log, 0600, 10 MB each and five older ones kept (`rotation` changes
 * that). A file that can't be written never disturbs the daemon: lines are dropped, and it is opened again after a while.
 */
export function fileLog(
  folder: string,
  level: string,
  rotation: { size: `${number}${'B' | 'K' | 'M'}`; keep: number } = { size: '10M', keep: 5 },
): LogFile {
  const open = (): RotatingFileStream =>
    createStream('daemon.log', { path: folder, size: rotation.size, rotate: rotation.keep, mode: 0o600 });
  let stream: RotatingFileStream | null = null;
  let failedAt = Number.NEGATIVE_INFINITY;
  let closed = false;
  let dropped = 0;
  let gathered = '';
  let gatherer: NodeJS.Timeout | null = null;

  const usable = (): RotatingFileStream | null => {
    if (stream !== null || closed || performance.now() - failedAt < REOPEN_MS) return stream;
    const opened = open();
    opened.on('error', (error: Error) => {
      if (stream === opened) stream = null;
      failedAt = performance.now();
      process.stderr.write(`sessiond: the log in ${folder} can't be written: ${error.message}\n`);
    });
    stream = opened;
    return opened;
  };

  // A line an invocation would be a write to the disk each: lines wait a moment and go together.
  const log = logger(level, line => {
    gathered += line;
    if (gathered.length >= GATHERED_CHARACTERS) flush();
    else gatherer ??= setTimeout(flush, GATHER_MS);
  });
  const flush = (): void => {
    if (gatherer !== null) clearTimeout(gatherer);
    gatherer = null;
    const lines = gathered;
    gathered = '';
    if (lines === '') return;
    const file = usable();
    if (file === null || file.writableLength > WAITING_BYTES) {
      dropped += lines.split('\n').length - 1;
      return;
    }
    if (dropped > 0) {
      file.write(
        `${JSON.stringify({ level: 'warn', time: new Date().toISOString(), dropped, msg: 'log lines were dropped' })}\n`,
      );
      dropped = 0;
    }
    file.write(lines);
  };
  return {
    log,
    async close() {
      flush();
      closed = true;
      const file = stream;
      stream = null;
      if (file === null || file.destroyed) return;
      file.end();
      // A disk that hangs must not keep the daemon from ending.
      await once(file, 'close', { signal: AbortSignal.timeout(CLOSE_MS) }).catch(() => undefined);
    },
  };
}

/** A log for a person, one line each on standard error: standard output may carry a protocol. */
export function consoleLog(level: string, write: (text: string) => void = text => process.stderr.write(text)): Log {
  return logger(level, line => write(`${readable(line)}\n`));
}

/** Writes the line of an invocation that ended; each has its session_id. What did not complete is a warning. */
export function logInvocation(log: Log, invocation: Invocation): void {
  const { invocation_id, session_id, attribution, client, server, tool, status, duration_ms, error_message } =
    invocation;
  const fields = { session_id, invocation_id, attribution, client, server, tool, status, duration_ms };
  if (status === 'completed') log.info(fields, 'invocation');
  else log.warn({ ...fields, error_message }, 'invocation');
}

function logger(level: string, write: (line: string) => void): Log {
  return pino(
    {
      level,
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: label => ({ level: label }) },
      redact: { paths: ['token', 'authorization', '*.token', '*.authorization', '*.env'], censor: '[redacted]' },
    },
    { write },
  );
}

function readable(line: string): string {
  const { level, time, msg, pid: _pid, err, ...fields }: Record<string, unknown> = JSON.parse(line);
  const rest = Object.entries(fields).map(
    ([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  const error = typeof err === 'object' && err !== null && 'stack' in err ? `\n${String(err.stack)}` : '';
  const head = [String(time).slice(11, 23), String(level).padEnd(5), String(msg ?? ''), ...rest].join(' ');
  return printable(head.replaceAll(/[\r\n]+/g, ' ')) + printable(error);
}

/** What clients and servers send must not steer the terminal. */
function printable(text: string): string {
  return stripVTControlCharacters(text).replaceAll(/[^\P{Cc}\n]|\p{Bidi_Control}/gu, '');
}

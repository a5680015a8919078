import { setTimeout as sleep } from 'node:timers/promises';
import { DaemonError } from '../../shared/errors.ts';
import type { HomePaths } from './home.ts';
import { readPrivate } from './privateFile.ts';
import { writeWhole } from './wholeFile.ts';

/** Listens on the port, 0 for one that the system chooses; resolves to the port it got, rejects as net.Server does. */
export type Listen = (port: number) => Promise<number>;

const RETRY_MS = 50;

/**
 * Listens on the port of a home. With `fixed` 0 that is the port of the first start, kept so that what clients were
 * configured with stays good; when another program has taken it, the system chooses a new one, which is kept from then on.
 * A `fixed` port that is taken rejects with `unavailable`. For `patience_ms` (1500) a taken port is tried again: a daemon
 * that was killed holds it a moment longer than the lock.
 */
export async function listenOnKeptPort(
  paths: HomePaths,
  fixed: number,
  listen: Listen,
  patience_ms = 1500,
): Promise<number> {
  if (fixed !== 0) {
    try {
      return await patiently(fixed, listen, patience_ms);
    } catch (cause) {
      if (!isTaken(cause)) throw cause;
      throw new DaemonError(
        'unavailable',
        `port ${fixed} of ${paths.config} ${isError(cause, 'EACCES') ? 'may not be used here' : 'is taken by another program: end that one'}, or change "port", or leave it out to have one chosen`,
        { cause },
      );
    }
  }
  const kept = readPort(paths);
  if (kept !== null) {
    try {
      return await patiently(kept, listen, patience_ms);
    } catch (error) {
      if (!isTaken(error)) throw error;
    }
  }
  const port = await listen(0);
  writeWhole(paths.port, `${port}\n`);
  return port;
}

function readPort(paths: HomePaths): number | null {
  const port = Number(readPrivate(paths.port)?.trim() || Number.NaN);
  return Number.isInteger(port) && port > 0 && port < 65_536 ? port : null;
}

async function patiently(port: number, listen: Listen, patience_ms: number): Promise<number> {
  const until = performance.now() + patience_ms;
  for (;;) {
    try {
      return await listen(port);
    } catch (error) {
      if (!isTaken(error) || performance.now() >= until) throw error;
      await sleep(RETRY_MS);
    }
  }
}

function isTaken(error: unknown): boolean {
  // EACCES: Windows reserves ranges of ports, and low ones belong to root.
  return isError(error, 'EADDRINUSE') || isError(error, 'EACCES');
}

function isError(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

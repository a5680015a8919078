import { setTimeout as sleep } from 'node:timers/promises';
import { DaemonError } from '../../shared/errors.ts';
import { findDaemon } from './handshake.ts';
import type { HomePaths } from './home.ts';
import { processAlive } from './processAlive.ts';

/** What became of the daemon: `still_running` after all the patience; it is never killed. */
export type StopOutcome =
  | { readonly outcome: 'not_running' }
  | { readonly outcome: 'stopped' | 'still_running'; readonly pid: number };

const POLL_MS = 25;

/**
 * Asks the daemon of a home to stop and waits until its process is gone, for `patience_ms` (15000) at most. The process is
 * signalled only after it proved that it is the daemon. Rejects with `unsupported` on Windows, which has no such signal.
 */
export async function stopDaemon(paths: HomePaths, patience_ms = 15_000): Promise<StopOutcome> {
  const daemon = await findDaemon(paths);
  if (daemon === null) return { outcome: 'not_running' };
  const { pid } = daemon;
  if (process.platform === 'win32')
    throw new DaemonError('unsupported', `on Windows the daemon can't be asked to stop yet: end process ${pid}`);
  const until = performance.now() + patience_ms;
  signal(pid);
  while (processAlive(pid)) {
    if (performance.now() >= until) return { outcome: 'still_running', pid };
    await sleep(POLL_MS);
  }
  return { outcome: 'stopped', pid };
}

function signal(pid: number): void {
  try {
    process.kill(pid, 'SIGTERM');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

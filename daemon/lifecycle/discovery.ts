import { rmSync } from 'node:fs';
import type { HomePaths } from './home.ts';
import { readPrivate } from './privateFile.ts';
import { writeWhole } from './wholeFile.ts';

/** Grows when a client of another version would misunderstand the daemon. */
export const PROTOCOL = 1;

/** What daemon.json says of the daemon of a home. A claim only: handshake.ts finds out whether it holds. */
export interface Discovery {
  readonly pid: number;
  readonly port: number;
  readonly socket: string;
  readonly token: string;
  readonly version: string;
  readonly protocol: number;
  /** Different for each start of a daemon. */
  readonly instance_id: string;
}

/** Writes daemon.json whole, 0600, over whatever lies there; only the holder of the lock may. */
export function writeDiscovery(paths: HomePaths, discovery: Discovery): void {
  writeWhole(paths.discovery, `${JSON.stringify(discovery, null, 2)}\n`);
}

/** Reads daemon.json; null when there is none or it can't be believed: empty, garbage, a symlink, another user's. */
export function readDiscovery(paths: HomePaths): Discovery | null {
  const text = readPrivate(paths.discovery);
  if (text === null) return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  return isDiscovery(value) ? value : null;
}

/** Removes daemon.json when it still is the one of this instance. */
export function removeDiscovery(paths: HomePaths, instance_id: string): void {
  if (readDiscovery(paths)?.instance_id === instance_id) rmSync(paths.discovery, { force: true });
}

function isDiscovery(value: unknown): value is Discovery {
  if (typeof value !== 'object' || value === null) return false;
  const { pid, port, socket, token, version, protocol, instance_id }: Partial<Record<keyof Discovery, unknown>> = value;
  return (
    isCount(pid, 2 ** 31) &&
    isCount(port, 65_536) &&
    isCount(protocol, 2 ** 31) &&
    [socket, token, version, instance_id].every(text => typeof text === 'string' && text !== '')
  );
}

function isCount(value: unknown, below: number): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 && value < below;
}

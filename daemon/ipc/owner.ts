import { randomBytes } from 'node:crypto';
import { processAlive } from '../lifecycle/processAlive.ts';

/** A new name for this process as the runner of calls: `<pid>-<random>`. */
export function ownerId(): string {
  return `${process.pid}-${randomBytes(6).toString('hex')}`;
}

/** The process id in an owner's name, or null when it is no such name. */
export function ownerPid(owner: string): number | null {
  const pid = /^([1-9]\d{0,9})-[0-9a-f]{12}$/.exec(owner)?.[1];
  return pid === undefined ? null : Number(pid);
}

/** True while a process with the owner's process id lives; another one may have got that id since. */
export function ownerAlive(owner: string): boolean {
  const pid = ownerPid(owner);
  return pid !== null && processAlive(pid);
}

import { setPriority } from 'node:os';

/**
 * Lets everything else on the machine go before the calling thread: what it does stands behind answers that were given. Only
 * Linux has priorities by thread; elsewhere this would slow the whole process, so there it does nothing. 1 (a little) to 19.
 */
export function yieldTo(others: number): void {
  if (process.platform === 'linux') setPriority(others);
}

import { randomFillSync } from 'node:crypto';
import { v7 } from 'uuid';

const POOL = 4096;
const pool = Buffer.alloc(POOL);
let at = POOL;

/** A new UUIDv7 (RFC 9562). Randomness is drawn for many at once: a draw for each costs more than all the rest of it. */
export function newInvocationId(): string {
  if (at === POOL) {
    randomFillSync(pool);
    at = 0;
  }
  at += 16;
  return v7({ random: pool.subarray(at - 16, at) });
}

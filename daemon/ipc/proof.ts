import { createHmac, timingSafeEqual } from 'node:crypto';

/** HMAC-SHA256 under the token over nonce and name, in hex: shows knowledge of the token without telling it. */
export function proof(token: string, nonce: string, name: string): string {
  return createHmac('sha256', token).update(nonce).update(name).digest('hex');
}

/** Compares two proofs in constant time. */
export function sameProof(one: string, other: string): boolean {
  const left = Buffer.from(one);
  const right = Buffer.from(other);
  return left.length === right.length && timingSafeEqual(left, right);
}

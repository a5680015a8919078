import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { proof, sameProof } from '../ipc/proof.ts';
import { type Discovery, readDiscovery } from './discovery.ts';
import type { HomePaths } from './home.ts';

/** The body of /health. `proof` is HMAC-SHA256(token, nonce + instance_id) in hex, null when no nonce was sent. */
export interface HealthAnswer {
  readonly pid: number;
  readonly version: string;
  readonly protocol: number;
  readonly instance_id: string;
  readonly proof: string | null;
}

const HANDSHAKE_MS = 1000;
const LARGEST_ANSWER = 16 * 1024;

/** What /health answers to a nonce. */
export function healthAnswer(discovery: Discovery, nonce: string | null): HealthAnswer {
  const { pid, version, protocol, instance_id, token } = discovery;
  return { pid, version, protocol, instance_id, proof: nonce === null ? null : proof(token, nonce, instance_id) };
}

/**
 * The daemon of a home when it runs and proves that it knows the token; otherwise null. A pid is never trusted: it may
 * belong to another program by now, and so may the port. Takes a second at most.
 */
export async function findDaemon(paths: HomePaths): Promise<Discovery | null> {
  const discovery = readDiscovery(paths);
  return discovery !== null && (await proves(discovery)) ? discovery : null;
}

/** Asks whoever listens at the port of `discovery` to prove that it is that very daemon; false without a good answer. */
export async function proves(discovery: Discovery): Promise<boolean> {
  const nonce = randomBytes(32).toString('hex');
  const answer = await askHealth(discovery.port, nonce);
  if (typeof answer !== 'object' || answer === null) return false;
  const { pid, instance_id, proof: given }: Partial<Record<keyof HealthAnswer, unknown>> = answer;
  if (pid !== discovery.pid || instance_id !== discovery.instance_id || typeof given !== 'string') return false;
  return sameProof(given, proof(discovery.token, nonce, discovery.instance_id));
}

/** Null when nobody answers in time, or not with a small JSON text and status 200. */
async function askHealth(port: number, nonce: string): Promise<unknown> {
  // Loaded here because it takes longer than all else of a stdio process, which may never ask.
  const { get } = await import('node:http');
  try {
    const text = await new Promise<string>((resolve, reject) => {
      const signal = AbortSignal.timeout(HANDSHAKE_MS);
      get({ host: '127.0.0.1', port, path: `/health?nonce=${nonce}`, agent: false, signal }, response =>
        readText(response).then(resolve, reject),
      ).on('error', reject);
    });
    return JSON.parse(text);
  } catch {
    // Whatever went wrong, this is no daemon of ours: that is the answer.
    return null;
  }
}

async function readText(response: IncomingMessage): Promise<string> {
  response.setEncoding('utf8');
  let text = '';
  for await (const chunk of response) {
    text += chunk;
    if (text.length > LARGEST_ANSWER) throw new Error('the answer is too long');
  }
  if (response.statusCode !== 200) throw new Error(`status ${response.statusCode}`);
  return text;
}

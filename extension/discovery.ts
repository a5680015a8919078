import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { lstat, readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import * as z from 'zod';

const discoveryFile = z.object({
  port: z.int().min(1).max(65_535),
  token: z.string().min(1),
  instance_id: z.string().min(1),
});
const healthAnswer = z.object({ instance_id: z.string(), proof: z.string() });

const HEALTH_MS = 2000;

/** A daemon that answered and proved that it knows the token. */
export interface FoundDaemon {
  readonly url: string;
  readonly token: string;
}

/** The daemon's folder: SESSIOND_HOME, else .sessiond in the user's own. */
export function homeFolder(env: NodeJS.ProcessEnv): string {
  return env.SESSIOND_HOME || join(homedir(), '.sessiond');
}

/** Finds the running daemon of a home; null when there is none, or when what answers at its port is something else. */
export async function findDaemon(home: string): Promise<FoundDaemon | null> {
  const known = await readDiscovery(join(home, 'daemon.json'));
  if (known === null) return null;
  const url = `http://127.0.0.1:${known.port}`;
  // The token is not sent before the other side has shown that it has it: the port may be another program's by now.
  const nonce = randomBytes(16).toString('hex');
  const answer = await askHealth(`${url}/health?nonce=${nonce}`);
  if (answer === null || answer.instance_id !== known.instance_id) return null;
  const expected = createHmac('sha256', known.token).update(nonce).update(known.instance_id).digest();
  const given = Buffer.from(answer.proof, 'hex');
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return null;
  return { url, token: known.token };
}

async function readDiscovery(file: string): Promise<z.infer<typeof discoveryFile> | null> {
  try {
    if (!(await lstat(file)).isFile()) return null;
    const parsed = discoveryFile.safeParse(JSON.parse(await readFile(file, 'utf8')));
    return parsed.success ? parsed.data : null;
  } catch {
    // None, or being replaced right now: either way no daemon is known yet.
    return null;
  }
}

async function askHealth(url: string): Promise<z.infer<typeof healthAnswer> | null> {
  try {
    const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(HEALTH_MS) });
    const parsed = healthAnswer.safeParse(await response.json());
    return parsed.success ? parsed.data : null;
  } catch {
    // A stale file names a port where nothing, or no daemon, answers.
    return null;
  }
}

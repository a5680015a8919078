// The lifecycle of a daemon and nothing else: lock, port, discovery, /health, and an end at SIGTERM.
import { randomUUID } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type Discovery, PROTOCOL, removeDiscovery, writeDiscovery } from '../../daemon/lifecycle/discovery.ts';
import { healthAnswer } from '../../daemon/lifecycle/handshake.ts';
import { openHome, resolveHome } from '../../daemon/lifecycle/home.ts';
import { acquireLock } from '../../daemon/lifecycle/lock.ts';
import { listenOnKeptPort } from '../../daemon/lifecycle/port.ts';
import { keptToken } from '../../daemon/lifecycle/token.ts';

if (process.argv.includes('--broken')) {
  process.stderr.write('sessiond: the fixture is broken: mend it\n');
  process.exit(70);
}
const paths = openHome(resolveHome(process.env));
const lock = acquireLock(paths.lock);
if (lock === null) {
  appendFileSync(join(paths.home, 'lost'), `${process.pid}\n`);
  process.exit(0);
}
appendFileSync(join(paths.home, 'started'), `${process.pid} ${Object.keys(process.env).sort().join(',')}\n`);

const server = createServer((request, response) => {
  const nonce = new URL(request.url ?? '/', 'http://localhost').searchParams.get('nonce');
  response.end(JSON.stringify(healthAnswer(discovery, nonce)));
});
const port = await listenOnKeptPort(
  paths,
  0,
  wanted =>
    new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(wanted, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
    }),
);
const discovery: Discovery = {
  pid: process.pid,
  port,
  socket: paths.socket,
  token: keptToken(paths),
  version: '0.0.0',
  protocol: PROTOCOL,
  instance_id: randomUUID(),
};
writeDiscovery(paths, discovery);
process.once('SIGTERM', () => {
  if (process.argv.includes('--stubborn')) return;
  removeDiscovery(paths, discovery.instance_id);
  server.close();
  server.closeAllConnections();
  lock.release();
});

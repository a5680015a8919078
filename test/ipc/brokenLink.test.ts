import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { DaemonLink } from '../../daemon/ipc/daemonLink.ts';
import { encodeFrame, FrameReader } from '../../daemon/ipc/framing.ts';
import { ownerId } from '../../daemon/ipc/owner.ts';
import { proof } from '../../daemon/ipc/proof.ts';
import { type LinkRole, parseServerHeader } from '../../daemon/ipc/protocol.ts';
import { type RecordServer, serveRecords } from '../../daemon/ipc/recordServer.ts';
import { SocketRecorder } from '../../daemon/ipc/socketRecorder.ts';
import { DaemonError } from '../../shared/errors.ts';
import { callStart, redact, request, silent, until, withFolder } from './fixtures/calls.ts';
import { RecordingStore } from './fixtures/recordingStore.ts';

/** A daemon whose store commits when `release` is called. */
async function serveHeld(
  folder: string,
): Promise<{ store: RecordingStore; server: RecordServer; asked(): number; release(): void }> {
  const store = new RecordingStore();
  const waiting: (() => void)[] = [];
  let asked = 0;
  let open = false;
  store.beforeCommit = () =>
    new Promise(resolve => {
      asked++;
      if (open) resolve();
      else waiting.push(resolve);
    });
  const server = await serveRecords({
    socketPath: join(folder, 'd.sock'),
    token: 'token',
    instance_id: 'i1',
    version: '1.0.0',
    durability: 'process',
    ownTools: async () => null,
    log: silent,
    store: Object.assign(store, { useExplicit: async () => ({ refused: 'not here' }) }),
  });
  const release = () => {
    open = true;
    for (const resolve of waiting) resolve();
  };
  return { store, server, asked: () => asked, release };
}

const frame = (header: object, payload: Buffer | null = null) =>
  Buffer.concat(encodeFrame(JSON.stringify(header), payload));
const startFrame = (id: string) => frame({ t: 'start', start: callStart(id, 'o') }, request(id));

/** A connection made by hand, which has answered the welcome with a proof under `token`. */
async function handshake(
  folder: string,
  role: LinkRole,
  token: string,
): Promise<{ socket: Socket; reader: FrameReader }> {
  const socket = connect(join(folder, 'd.sock'));
  const reader = new FrameReader();
  const owner = ownerId();
  socket.write(frame({ t: 'hello', protocol: 1, owner, pid: process.pid, nonce: 'n', role, link: 'l' }));
  const [chunk] = await once(socket, 'data');
  reader.push(chunk);
  const welcome = parseServerHeader(reader.next()?.header ?? '');
  assert.ok(welcome.t === 'welcome');
  assert.equal(welcome.proof, proof('token', 'n', 'i1'));
  socket.write(frame({ t: 'prove', proof: proof(token, welcome.nonce, owner) }));
  return { socket, reader };
}

describe('a link that breaks', () => {
  it('sends again what was not acknowledged, and nothing else', () =>
    withFolder(async folder => {
      const { store, server, asked, release } = await serveHeld(folder);
      const owner = ownerId();
      const locate = () => ({ socketPath: join(folder, 'd.sock'), token: 'token' });
      const link = new DaemonLink({ owner, locate, startDaemon: () => {}, log: silent });
      const spoolDir = join(folder, 'spool');
      const recorder = new SocketRecorder({ link, owner, spoolDir, durability: 'process', redact, log: silent });
      await until('the link is open', () => link.open);
      void recorder.start(callStart('a', owner), request('a'));
      await until('the store is asked', () => asked() === 1);
      link.drop(new DaemonError('unavailable', 'cut'));
      await until('the link is down', () => !link.open);
      await until('the link is open', () => link.open);
      release();
      await until('it is acknowledged', () => recorder.state.queued === 0);
      assert.deepEqual(store.names, ['start:a', 'start:a']);
      link.drop(new DaemonError('unavailable', 'cut'));
      await until('the link is down', () => !link.open);
      void recorder.start(callStart('b', owner), request('b'));
      await until('it is acknowledged', () => recorder.state.queued === 0 && !recorder.state.spooled);
      assert.deepEqual(store.names, ['start:a', 'start:a', 'start:b']);
      await recorder.close();
      await server.close();
    }));

  it('is read to its end, also when a commit comes between', () =>
    withFolder(async folder => {
      const { store, server, asked, release } = await serveHeld(folder);
      const { socket } = await handshake(folder, 'records', 'token');
      socket.write(startFrame('a'));
      await until('the store is asked', () => asked() === 1);
      const names = Array.from({ length: 100 }, (_, n) => `b${n}`);
      for (const name of names) socket.write(startFrame(name));
      socket.destroy();
      release();
      await until('all is committed', () => store.names.length === 101);
      await server.close();
    }));

  it('is no link for who does not know the token: nothing of it is taken', () =>
    withFolder(async folder => {
      const { store, server, release } = await serveHeld(folder);
      release();
      for (const role of ['records', 'questions'] as const) {
        const { socket, reader } = await handshake(folder, role, 'guessed');
        socket.write(startFrame('a'));
        socket.on('data', chunk => reader.push(chunk));
        await once(socket, 'close');
        assert.equal(parseServerHeader(reader.next()?.header ?? '').t, 'refused');
      }
      const early = connect(join(folder, 'd.sock'));
      early.write(startFrame('a'));
      await once(early.resume(), 'close');
      assert.deepEqual(store.names, []);
      assert.deepEqual(server.owners(), []);
      await server.close();
    }));
});

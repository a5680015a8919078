import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { DaemonError } from '../../shared/errors.ts';
import type { DaemonEvent } from '../../shared/events.ts';
import type { SessionStatus } from '../../shared/session.ts';
import type { OwnTools } from '../gateway/ownTools.ts';
import type { Store } from '../store/store.ts';
import { ownerAlive } from './owner.ts';
import { Peer, type PeerContext } from './peer.ts';
import type { Change, Log } from './protocol.ts';
import { RecordQueue } from './recordQueue.ts';

// A stdio process keeps a record until it is acknowledged, and wakes for it: neither is urgent.
const ACK_MS = 50;
const RETURN_MS = 2000;
const LIVING_RETURN_MS = 30_000;
const GOODBYE_MS = 1000;
const KNOWN_STATUSES = 2000;

/** The parts of the store that stdio processes use. */
export type RecordStore = Pick<
  Store,
  'writeRecords' | 'resolveConversation' | 'useExplicit' | 'interruptRunning' | 'onEvents'
>;

export interface RecordServerOptions {
  /** A path whose folder is private to the user, or a Windows pipe name. The caller holds the lock of the home. */
  readonly socketPath: string;
  readonly token: string;
  readonly instance_id: string;
  readonly version: string;
  readonly durability: 'process' | 'power';
  readonly store: RecordStore;
  /** Answers a JSON-RPC message for sessiond's own tools; null for a notification. */
  readonly ownTools: OwnTools;
  readonly log: Log;
}

export interface RecordServer {
  /** Commits and acknowledges what was read, says goodbye and lets go of the socket. Running calls stay running. */
  close(): Promise<void>;
  /** Owners that are connected, or that may still come back. */
  owners(): string[];
}

/**
 * Serves the record socket: takes the records of stdio processes, answers their questions, tells them what changed, and
 * ends the running calls of one that is gone for good. Rejects when the socket can't be had.
 */
export async function serveRecords(options: RecordServerOptions): Promise<RecordServer> {
  const { store, log } = options;
  const queue = new RecordQueue(records => store.writeRecords(records), log);
  const peers = new Set<Peer>();
  const leaving = new Map<string, NodeJS.Timeout>();
  let closing = false;

  const questions = new Map<string, Peer>();
  const acknowledged = new Map<string, number>();
  const unsaid = new Map<string, number>();
  let saying: NodeJS.Timeout | undefined;

  const connected = (owner: string) =>
    [...peers].some(({ hello }) => hello?.owner === owner && hello.role === 'records');
  const interrupt = async (owner: string) => {
    await queue.drained();
    if (connected(owner)) return;
    const ended = await store.interruptRunning({ owner });
    if (ended > 0) log.warn({ owner, ended }, 'a stdio process is gone; its running calls were ended');
  };
  const expect = (owner: string, since: number) => {
    const timer = setTimeout(() => {
      if (ownerAlive(owner) && Date.now() - since < LIVING_RETURN_MS) return expect(owner, since);
      leaving.delete(owner);
      interrupt(owner).catch(err =>
        log.error({ err, owner }, 'running calls of a process that is gone were not ended'),
      );
    }, RETURN_MS);
    timer.unref();
    leaving.set(owner, timer);
  };

  const context: PeerContext = {
    ...options,
    queue,
    proven(peer, { owner, role, link }) {
      if (role === 'records') {
        clearTimeout(leaving.get(owner));
        leaving.delete(owner);
        return;
      }
      questions.set(link, peer);
      // The first records can be committed before the other connection has been proved.
      const records = acknowledged.get(link);
      if (records !== undefined) peer.acknowledge(records);
    },
    gone(peer) {
      peers.delete(peer);
      if (!peer.hello) return;
      const { owner, role, link } = peer.hello;
      if (role === 'questions') questions.delete(link);
      else {
        acknowledged.delete(link);
        if (!closing && !connected(owner)) expect(owner, Date.now());
      }
    },
    acknowledge(link, records) {
      if (options.durability === 'process') {
        unsaid.set(link, records);
        saying ??= setTimeout(say, ACK_MS);
      } else tellCommitted(link, records);
    },
  };
  const tellCommitted = (link: string, records: number) => {
    const peer = questions.get(link);
    if (peer) peer.acknowledge(records);
    else if ([...peers].some(({ hello }) => hello?.link === link)) acknowledged.set(link, records);
  };
  const say = () => {
    clearTimeout(saying);
    saying = undefined;
    for (const [link, records] of unsaid) tellCommitted(link, records);
    unsaid.clear();
  };

  removeStaleSocket(options.socketPath);
  const server = createServer({ highWaterMark: 1 }, socket => peers.add(new Peer(socket, context)));
  await listen(server, options.socketPath);
  server.on('error', err => log.error({ err }, 'the record socket failed'));

  const unsubscribe = tellChanges(store, change => {
    for (const peer of questions.values()) peer.changed(change);
  });

  return {
    owners: () => [...new Set([...peers].flatMap(peer => peer.hello?.owner ?? []).concat([...leaving.keys()]))],
    async close() {
      closing = true;
      unsubscribe();
      for (const timer of leaving.values()) clearTimeout(timer);
      leaving.clear();
      const closed = new Promise<void>(resolve => server.close(() => resolve()));
      await queue.close();
      say();
      for (const peer of peers) peer.end();
      await Promise.race([closed, sleep(GOODBYE_MS, undefined, { ref: false })]);
      for (const peer of peers) peer.destroy();
      await closed;
    },
  };
}

function removeStaleSocket(socketPath: string): void {
  if (socketPath.startsWith('\\\\')) return;
  const found = lstatSync(socketPath, { throwIfNoEntry: false });
  if (!found) return;
  if (!found.isSocket())
    throw new DaemonError(
      'insecure_home',
      `${socketPath} is in the way and is no socket: move it away and start again`,
    );
  unlinkSync(socketPath);
}

async function listen(server: Server, socketPath: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', cause =>
      reject(new DaemonError('unavailable', `no socket at ${socketPath}: ${cause.message}; free the path`, { cause })),
    );
    server.listen(socketPath, resolve);
  });
  server.removeAllListeners('error');
  if (!socketPath.startsWith('\\\\')) chmodSync(socketPath, 0o600);
}

/** Passes on the events that make what a stdio process remembers wrong: another status, an end in time, another session. */
function tellChanges(store: RecordStore, tell: (change: Change) => void): () => void {
  const statuses = new Map<string, SessionStatus>();
  const note = (event: Extract<DaemonEvent, { session: unknown }>): boolean => {
    const same = statuses.get(event.session_id) === event.session.status;
    statuses.delete(event.session_id);
    statuses.set(event.session_id, event.session.status);
    const oldest = statuses.size > KNOWN_STATUSES ? statuses.keys().next().value : undefined;
    if (oldest !== undefined) statuses.delete(oldest);
    return !same;
  };
  return store.onEvents(events => {
    for (const event of events) {
      if (event.type === 'conversation.moved') {
        const { client, conversation_id } = event;
        tell({ conversation: { client, conversation_id } });
      } else if (
        'session' in event &&
        (note(event) || event.session.expires_at !== null) &&
        event.type === 'session.updated'
      ) {
        tell({ session_id: event.session_id });
      }
    }
  });
}

import type { DaemonError } from '../../../shared/errors.ts';
import type { DaemonEvent } from '../../../shared/events.ts';
import type { CallRecord } from '../../records/callRecord.ts';
import type { Store } from '../store.ts';
import { RecordBatches } from './recordBatches.ts';
import type { ReaderMethods, WriterMethods } from './storeWorker.ts';
import { WorkerChannel } from './workerChannel.ts';
import type { WorkerSetup } from './workerProtocol.ts';

export interface SqliteStoreOptions {
  /** A path, or ':memory:'. */
  readonly file: string;
  /** storeWorker: the source, or its bundle. */
  readonly workerUrl: URL;
  /** See sqliteBinding(). */
  readonly nativeBinding?: string | undefined;
  /** Where parts over 256 KiB go; null keeps them in the database. */
  readonly blobDir: string | null;
  readonly durability: 'process' | 'power';
  /** The user of sessions that are made without one. */
  readonly userId: string;
  /** Milliseconds since the epoch; asked before each call of a method. */
  readonly now?: () => number;
  /** Told what goes wrong behind the answers: a sync or a checkpoint that failed, a thread that broke down. */
  readonly onFault?: (error: DaemonError) => void;
}

type Methods = Omit<Store, 'writeRecords' | 'onEvents' | 'close'>;

/**
 * Opens the store; rejects with `unavailable` when the file can't be used. A file has a thread that writes and one that
 * reads, ':memory:' one for both. Rejects nothing later because of another caller: each is answered by itself.
 */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<Store> {
  const { now } = options;
  const clock = now ? new Float64Array(new SharedArrayBuffer(8)) : null;
  const tick = () => {
    if (clock && now) clock[0] = now();
  };
  tick();
  const listeners = new Set<(events: readonly DaemonEvent[]) => void>();
  const onFault = options.onFault ?? (error => process.emitWarning(error));
  const hooks = {
    onFault,
    onEvents: (json: string) => {
      if (listeners.size === 0) return;
      // Written by the worker from the same types.
      const events = JSON.parse(json) as DaemonEvent[];
      for (const listener of listeners) listener(events);
    },
  };
  const setup = (role: WorkerSetup['role']): WorkerSetup => ({
    role,
    clock,
    file: options.file,
    nativeBinding: options.nativeBinding ?? null,
    blobDir: options.blobDir,
    durability: options.durability,
    userId: options.userId,
  });
  const single = options.file === ':memory:';
  const writer = new WorkerChannel(options.workerUrl, setup(single ? 'both' : 'writer'), hooks);
  const reader = single ? writer : new WorkerChannel(options.workerUrl, setup('reader'), hooks);
  try {
    await writer.ready;
    await reader.ready;
  } catch (error) {
    await Promise.all([writer.terminate(), reader.terminate()]);
    throw error;
  }

  const batches = new RecordBatches(batch => writer.write(batch));
  // The worker's methods answer with JSON of what the same method of Store promises.
  async function write<Name extends keyof WriterMethods & keyof Methods>(
    name: Name,
    ...args: Parameters<Methods[Name]>
  ): Promise<Awaited<ReturnType<Methods[Name]>>> {
    tick();
    batches.sendAll();
    return JSON.parse((await writer.call(name, args)) ?? 'null');
  }
  async function read<Name extends keyof ReaderMethods & keyof Methods>(
    name: Name,
    ...args: Parameters<Methods[Name]>
  ): Promise<Awaited<ReturnType<Methods[Name]>>> {
    tick();
    return JSON.parse((await reader.call(name, args)) ?? 'null');
  }
  let closed: Promise<void> | null = null;

  return {
    createSession: input => write('createSession', input),
    updateSession: (session_id, patch, version) => write('updateSession', session_id, patch, version),
    activateSession: (session_id, workspace) => write('activateSession', session_id, workspace),
    bindConversation: (conversation, session_id) => write('bindConversation', conversation, session_id),
    resolveConversation: (conversation, proposed, context) =>
      write('resolveConversation', conversation, proposed, context),
    useExplicit: (session_id, context) => write('useExplicit', session_id, context),
    interruptRunning: which => write('interruptRunning', which),
    linkInvocation: (invocation_id, session_id) => write('linkInvocation', invocation_id, session_id),
    markHistory: entries => write('markHistory', entries),
    markSessionFiles: entries => write('markSessionFiles', entries),
    getSession: session_id => read('getSession', session_id),
    listSessions: filter => read('listSessions', filter),
    getInvocation: invocation_id => read('getInvocation', invocation_id),
    listInvocations: filter => read('listInvocations', filter),
    listEvents: (after, limit) => read('listEvents', after, limit),
    counts: () => read('counts'),
    writeRecords: (records: readonly CallRecord[]) => {
      tick();
      return batches.add(records);
    },
    onEvents: listener => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close: () => {
      closed ??= (async () => {
        batches.sendAll();
        if (reader !== writer) await reader.close();
        await writer.close();
      })();
      return closed;
    },
  };
}

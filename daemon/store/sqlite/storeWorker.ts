import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import type { Database } from 'better-sqlite3';
import { DaemonError } from '../../../shared/errors.ts';
import { BlobFolder } from '../../records/blobs.ts';
import { yieldTo } from '../../threadPriority.ts';
import { EventLog } from './eventLog.ts';
import { type DatabaseOptions, openForReading, openForWriting } from './openDatabase.ts';
import { SqliteReader } from './reader.ts';
import { RecordParts } from './recordParts.ts';
import { type PreparedRecord, RecordWriter } from './recordWriter.ts';
import { migrate } from './schema.ts';
import { SessionTable } from './sessionTable.ts';
import { SessionWriter } from './sessionWriter.ts';
import { SyncTimer } from './syncTimer.ts';
import { Transactions } from './transactions.ts';
import {
  type PackedRecords,
  toWireError,
  unpackRecords,
  type WireError,
  type WorkerRequest,
  type WorkerResponse,
  type WorkerSetup,
} from './workerProtocol.ts';

/** Answers a method with JSON text; null for nothing. */
export type Methods<Names extends string> = Record<Names, (...args: never[]) => string | null>;

/** What the reader worker answers. */
export type ReaderMethods = ReturnType<typeof readerMethods>;
/** What the writer worker answers. */
export type WriterMethods = ReturnType<typeof writerMethods>['methods'];

function readerMethods(reader: () => SqliteReader) {
  return {
    getSession: (id: string) => JSON.stringify(reader().getSession(id)),
    listSessions: (filter: Parameters<SqliteReader['listSessions']>[0]) =>
      JSON.stringify(reader().listSessions(filter)),
    getInvocation: (id: string) => reader().invocationJson(id),
    listInvocations: (filter: Parameters<SqliteReader['listInvocations']>[0]) =>
      JSON.stringify(reader().listInvocations(filter)),
    listEvents: (after: number, limit: number) => reader().eventsJson(after, limit),
    counts: () => JSON.stringify(reader().counts()),
  };
}

function writerMethods(db: Database, setup: WorkerSetup, onFault: (error: unknown) => void) {
  const { clock, durability, file } = setup;
  const now = clock === null ? Date.now : () => clock[0] ?? 0;
  const blobs = setup.blobDir === null ? null : new BlobFolder(setup.blobDir, durability === 'power');
  const events = new EventLog(db, now);
  const table = new SessionTable(db, events, setup.userId);
  const sessions = new SessionWriter(db, table, events, now);
  const records = new RecordWriter(db, table, sessions, events, new RecordParts(blobs), now);
  const transactions = new Transactions(db, [events, table, records]);
  const timer =
    file === ':memory:'
      ? null
      : new SyncTimer(db, { file, durability, takeBlobs: () => blobs?.takeUnsynced() ?? [], onFault });

  function run<Result>(body: () => Result): Result {
    const result = transactions.run(body);
    timer?.committed();
    return result;
  }
  function method<Args extends unknown[]>(body: (...args: Args) => unknown) {
    return (...args: Args): string | null => JSON.stringify(run(() => body(...args))) ?? null;
  }

  return {
    events,
    close: async () => {
      await timer?.close();
      db.close();
    },
    write: (groups: readonly (readonly PreparedRecord[])[]) => run(() => records.write(groups.flat())),
    prepare: records.prepare.bind(records),
    methods: {
      createSession: method(sessions.createSession.bind(sessions)),
      updateSession: method(sessions.updateSession.bind(sessions)),
      activateSession: method(sessions.activateSession.bind(sessions)),
      bindConversation: method(sessions.bindConversation.bind(sessions)),
      resolveConversation: method(sessions.resolveConversation.bind(sessions)),
      useExplicit: method(sessions.useExplicit.bind(sessions)),
      markSessionFiles: method(sessions.markSessionFiles.bind(sessions)),
      interruptRunning: method(records.interruptRunning.bind(records)),
      linkInvocation: method(records.linkInvocation.bind(records)),
      markHistory: method(records.markHistory.bind(records)),
    },
  };
}

type Writer = ReturnType<typeof writerMethods>;

/** Writes a batch in one commit; should that fail, each caller's records by themselves, so that none spoils another's. */
function writeBatch(writer: Writer, batch: PackedRecords, file: string): { group: number; error: WireError }[] {
  const failed: { group: number; error: WireError }[] = [];
  const prepared: { group: number; records: PreparedRecord[] }[] = [];
  for (const [group, records] of unpackRecords(batch).entries())
    try {
      prepared.push({ group, records: records.map(writer.prepare) });
    } catch (error) {
      failed.push({ group, error: toWireError(error, file) });
    }
  try {
    writer.write(prepared.map(({ records }) => records));
  } catch (error) {
    const [only, ...others] = prepared;
    if (only && others.length === 0) failed.push({ group: only.group, error: toWireError(error, file) });
    else
      for (const { group, records } of prepared)
        try {
          writer.write([records]);
        } catch (cause) {
          failed.push({ group, error: toWireError(cause, file) });
        }
  }
  return failed;
}

function serve(port: MessagePort, setup: WorkerSetup): void {
  const { file, nativeBinding, role } = setup;
  const options: DatabaseOptions = nativeBinding === null ? { file } : { file, nativeBinding };
  const send = (response: WorkerResponse) => port.postMessage(response);
  const onFault = (error: unknown) => send({ id: 0, fault: toWireError(error, file) });
  let writer: Writer | null = null;
  let reader: SqliteReader | null = null;
  let shared: Database | null = null;
  // with `power` each call waits for the commit
  if (role === 'writer' && setup.durability === 'process') yieldTo(5);
  if (role !== 'reader') {
    shared = openForWriting(options, setup.durability);
    migrate(shared, file);
    writer = writerMethods(shared, setup, onFault);
  }
  // Opened by its first question: the writer has made the tables by then.
  const openReader = () => {
    reader ??= new SqliteReader(role === 'both' && shared ? shared : openForReading(options), setup.blobDir);
    return reader;
  };
  const table: Partial<Methods<string>> = {
    ...(role === 'reader' ? {} : writer?.methods),
    ...(role === 'writer' ? {} : readerMethods(openReader)),
  };

  port.on('message', (request: WorkerRequest) => {
    const { id } = request;
    try {
      if ('batch' in request) {
        if (!writer) throw new DaemonError('internal', 'a reader got records to write');
        const failed = writeBatch(writer, request.batch, file);
        send({ id, events: writer.events.take(), ...(failed.length ? { failed } : {}) });
        return;
      }
      if (request.method === 'close') {
        void (writer ? writer.close() : Promise.resolve(reader?.close()))
          .catch(onFault)
          .then(() => send({ id }))
          .then(() => port.close());
        return;
      }
      const answer = table[request.method];
      if (!answer) throw new DaemonError('internal', `the store's ${role} has no method ${request.method}`);
      // The facade's types tie the arguments to the method.
      const value = answer(...(request.args as never[]));
      send({ id, ...(value === null ? {} : { value }), events: writer?.events.take() ?? null });
    } catch (error) {
      send({ id, error: toWireError(error, file) });
    }
  });
  send({ id: 0 });
}

if (parentPort) {
  const setup: WorkerSetup = workerData;
  try {
    serve(parentPort, setup);
  } catch (error) {
    parentPort.postMessage({ id: 0, error: toWireError(error, setup.file) } satisfies WorkerResponse);
  }
}

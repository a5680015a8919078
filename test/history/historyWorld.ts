import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { HistoryWriter } from '../../daemon/history/historyWriter.ts';
import type { CallRecord } from '../../daemon/records/callRecord.ts';
import { openSqliteStore } from '../../daemon/store/sqlite/sqliteStore.ts';
import type { Store } from '../../daemon/store/store.ts';
import type { DaemonError } from '../../shared/errors.ts';

/** A store and a history writer in a home, as the daemon has them. */
export interface HistoryWorld {
  readonly store: Store;
  readonly history: HistoryWriter;
  readonly errors: DaemonError[];
  close(): Promise<void>;
}

/** Opens both; the writer is started by the test. */
export async function openHistoryWorld(home: string): Promise<HistoryWorld> {
  const file = join(home, 'sessions.db');
  const blobDir = join(home, 'blobs');
  const store = await openSqliteStore({
    file,
    blobDir,
    workerUrl: new URL('../../daemon/store/sqlite/storeWorker.ts', import.meta.url),
    durability: 'process',
    userId: 'tester',
  });
  const errors: DaemonError[] = [];
  const history = new HistoryWriter({
    home,
    file,
    blobDir,
    workerUrl: new URL('../../daemon/history/historyWorker.ts', import.meta.url),
    store,
    onError: error => errors.push(error),
  });
  return {
    store,
    history,
    errors,
    close: async () => {
      await history.close();
      await store.close();
    },
  };
}

export interface CallFixture {
  readonly invocation_id?: string;
  readonly session_id?: string | null;
  readonly server?: string;
  readonly tool?: string;
  readonly arguments?: unknown;
  /** JSON text of the result. */
  readonly result?: string;
  readonly started_at?: number;
}

/** The two records of a call that completed. */
export function recordsOf(call: CallFixture): { invocation_id: string; records: CallRecord[] } {
  const invocation_id = call.invocation_id ?? randomUUID();
  const { session_id = 'debug-auth', server = 'git', tool = 'status', started_at = Date.now() } = call;
  const encode = (text: string) => new TextEncoder().encode(text);
  const params = { name: tool, arguments: call.arguments ?? {} };
  return {
    invocation_id,
    records: [
      {
        kind: 'start',
        start: {
          invocation_id,
          session_id,
          provisional: false,
          attribution: session_id === null ? 'none' : 'explicit',
          conversation: null,
          client: 'claude-code',
          client_version: '2.1',
          workspace: null,
          server,
          tool,
          started_at,
          owner: 'owner-1',
        },
        message: encode(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params })),
      },
      {
        kind: 'end',
        end: { invocation_id, status: 'completed', ended_at: started_at + 5, duration_ms: 5, error_message: null },
        message: encode(`{"jsonrpc":"2.0","id":1,"result":${call.result ?? '{"content":[]}'}}`),
      },
    ],
  };
}

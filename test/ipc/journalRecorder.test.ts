import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { newInvocationId } from '../../daemon/gateway/invocationId.ts';
import { JournalRecorder } from '../../daemon/ipc/journalRecorder.ts';
import { ownerId } from '../../daemon/ipc/owner.ts';
import { SPOOL_MAGIC } from '../../daemon/ipc/spool.ts';
import type { CallRecord, CallStart } from '../../daemon/records/callRecord.ts';
import { redact } from '../../daemon/records/redaction.ts';
import { DaemonError } from '../../shared/errors.ts';
import { until } from '../support/sessiond.ts';

describe('the journal of the daemon', () => {
  let dir: string;
  let file: string;
  let written: CallRecord[];
  let fault: DaemonError | null;
  let refused: string | null;
  let recorder: JournalRecorder;
  /** A commit takes until this is resolved. */
  let gate: Promise<void>;

  beforeEach(() => {
    dir = mkdtempSync(path.join(tmpdir(), 'sessiond-journal-'));
    const owner = ownerId();
    file = path.join(dir, `${owner}.spool`);
    [written, fault, refused, gate] = [[], null, null, Promise.resolve()];
    const store = {
      async writeRecords(records: readonly CallRecord[]): Promise<void> {
        await gate;
        if (fault !== null) throw fault;
        if (records.some(record => idOf(record) === refused)) throw new DaemonError('too_large', 'too large');
        written.push(...records);
      },
    };
    recorder = new JournalRecorder({ store, owner, spoolDir: dir, durability: 'process', redact, onError: () => {} });
  });
  afterEach(async () => {
    await recorder.close();
    rmSync(dir, { recursive: true });
  });

  const idOf = (record: CallRecord): string =>
    record.kind === 'start' ? record.start.invocation_id : record.end.invocation_id;

  async function call(bytes = 10): Promise<string> {
    const invocation_id = newInvocationId();
    const start: CallStart = {
      invocation_id,
      session_id: null,
      provisional: false,
      attribution: 'none',
      conversation: null,
      client: null,
      client_version: null,
      workspace: null,
      server: 's',
      tool: 't',
      started_at: Date.now(),
      owner: 'o',
    };
    const message = Buffer.from(JSON.stringify({ params: { arguments: { text: 'x'.repeat(bytes) } } }));
    await recorder.start(start, message);
    const ended_at = Date.now();
    await recorder.end({ invocation_id, status: 'completed', ended_at, duration_ms: 1, error_message: null }, message);
    return invocation_id;
  }

  it('has a call that is too large for it committed before it is answered', async () => {
    let open = (): void => {};
    gate = new Promise(resolve => {
      open = resolve;
    });
    let answered = false;
    const large = call(700_000).then(() => {
      answered = true;
    });
    await new Promise(resolve => setTimeout(resolve, 50));
    assert.equal(answered, false);
    open();
    await large;
    assert.equal(written.length, 2);
  });

  it('writes what could not be committed once it can be, large calls too, and is empty only then', async () => {
    fault = new DaemonError('unavailable', 'the disk is full');
    const ids = [await call(), await call(100_000), await call()];
    assert.ok(statSync(file).size > SPOOL_MAGIC.length);
    fault = null;
    ids.push(await call());
    await until(() => (written.length >= 8 ? true : null), 'all records');
    assert.deepEqual(
      written.map(idOf),
      ids.flatMap(id => [id, id]),
    );
    await until(() => (statSync(file).size === SPOOL_MAGIC.length ? true : null), 'an empty journal');
  });

  it('passes over a record that is refused for good, and keeps the others', async () => {
    refused = newInvocationId();
    const ids = [await call(), await call()];
    refused = ids[0] ?? null;
    await until(() => (written.length >= 2 ? true : null), 'the other call');
    assert.deepEqual(new Set(written.map(idOf)), new Set([ids[1]]));
  });

  it('leaves to the next daemon what it could not commit before its end', async () => {
    fault = new DaemonError('unavailable', 'the disk is full');
    await call();
    await recorder.close();
    assert.ok(existsSync(file) && statSync(file).size > SPOOL_MAGIC.length);
  });
});

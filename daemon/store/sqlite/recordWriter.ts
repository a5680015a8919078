import type { Database, Statement } from 'better-sqlite3';
import { DaemonError } from '../../../shared/errors.ts';
import type { Attribution, Invocation, InvocationStatus } from '../../../shared/invocation.ts';
import type { CallEnd, CallRecord, CallStart } from '../../records/callRecord.ts';
import { redact, wasRedacted } from '../../records/redaction.ts';
import type { EventLog } from './eventLog.ts';
import { invocationNotFound } from './reader.ts';
import type { EndParts, RecordParts, StartParts } from './recordParts.ts';
import { INVOCATION_COLUMNS, type InvocationRow, toInvocation } from './rows.ts';
import { firstNum } from './schema.ts';
import { type KnownSession, type SessionTable, type Tally, useTool } from './sessionTable.ts';
import type { SessionWriter } from './sessionWriter.ts';

/** A record with its parts cut out and redacted, ready to be written. */
export type PreparedRecord =
  | { readonly kind: 'start'; readonly start: CallStart; readonly parts: StartParts; end: PreparedEnd | null }
  | PreparedEnd;

interface PreparedEnd {
  readonly kind: 'end';
  readonly end: CallEnd;
  readonly parts: EndParts;
  readonly error: { readonly text: string; readonly count: number } | null;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const STOPPED = 'sessiond, or the client in front of it, stopped while the call ran';

/** Writes calls, and what they add to their sessions; write() and the rest always inside a transaction. */
export class RecordWriter {
  readonly #sessions: SessionTable;
  readonly #writer: SessionWriter;
  readonly #events: EventLog;
  readonly #parts: RecordParts;
  readonly #now: () => number;
  readonly #find: Statement<[string], InvocationRow & { session: number | null }>;
  readonly #insert: Statement;
  readonly #end: Statement;
  readonly #running: Statement<[], { invocation_id: string; owner: string; started_at: string }>;
  readonly #link: Statement;
  readonly #history: Statement;
  readonly #tools: Statement<[number], string>;
  readonly #setTools: Statement;
  readonly #tallies = new Map<KnownSession, Tally>();
  /** Calls that changed after .history may have read them. */
  readonly #changed = new Set<string>();
  /** The smallest number of the millisecond that was numbered last, and the number given last. */
  #lastFirst = -1;
  #lastNum = 0;

  constructor(
    db: Database,
    sessions: SessionTable,
    writer: SessionWriter,
    events: EventLog,
    parts: RecordParts,
    now: () => number,
  ) {
    this.#sessions = sessions;
    this.#writer = writer;
    this.#events = events;
    this.#parts = parts;
    this.#now = now;
    this.#find = db.prepare(`SELECT ${INVOCATION_COLUMNS}, i.session FROM invocations i WHERE i.invocation_id = ?`);
    this.#insert =
      db.prepare(`INSERT INTO invocations (num, invocation_id, session, attribution, conversation_id, client,
        client_version, workspace, server, tool, status, started_at, ended_at, duration_ms, arguments_bytes, result_bytes,
        error_message, redacted, owner, arguments_blob, meta_blob, result_blob, error_blob, arguments, meta, error, result)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (num) DO NOTHING`);
    this.#end = db.prepare(`UPDATE invocations SET status = ?, ended_at = ?, duration_ms = ?, result_bytes = ?,
        error_message = ?, redacted = ?, result_blob = ?, error_blob = ?, error = ?, result = ?, history_dir = NULL
      WHERE num = ?`);
    this.#running = db.prepare("SELECT invocation_id, owner, started_at FROM invocations WHERE status = 'running'");
    this.#link = db.prepare(
      "UPDATE invocations SET session = ?, attribution = 'explicit', history_dir = NULL WHERE num = ?",
    );
    this.#history = db.prepare('UPDATE invocations SET history_dir = ? WHERE invocation_id = ?');
    this.#tools = db
      .prepare<[number], string>("SELECT DISTINCT server || '__' || tool FROM invocations WHERE session = ?")
      .pluck();
    this.#setTools = db.prepare('UPDATE sessions SET tools_used = ? WHERE num = ?');
  }

  commit(): void {}

  reload(): void {
    this.#tallies.clear();
  }

  /** Does all that needs no transaction: cuts, redacts, and writes blobs. `message` is only read now. */
  prepare(record: CallRecord): PreparedRecord {
    if (record.kind === 'start') {
      const { start } = record;
      if (!UUID.test(start.invocation_id))
        throw new DaemonError('invalid_input', `invocation_id ${JSON.stringify(start.invocation_id)} is not a UUID`);
      requireMoment('started_at', start.started_at);
      return { kind: 'start', start, parts: this.#parts.start(asBuffer(record.message)), end: null };
    }
    const { end, message } = record;
    requireMoment('ended_at', end.ended_at);
    return {
      kind: 'end',
      end,
      parts: this.#parts.end(message === null ? null : asBuffer(message)),
      error: end.error_message === null ? null : redact(end.error_message),
    };
  }

  write(records: readonly PreparedRecord[]): void {
    const begun = new Map<string, PreparedRecord & { kind: 'start' }>();
    const order: PreparedRecord[] = [];
    for (const record of records) {
      if (record.kind === 'start') {
        if (begun.has(record.start.invocation_id)) continue;
        record.end = null;
        begun.set(record.start.invocation_id, record);
        order.push(record);
      } else {
        const start = begun.get(record.end.invocation_id);
        if (start && start.end === null) start.end = record;
        else order.push(record);
      }
    }
    for (const record of order) record.kind === 'start' ? this.#start(record) : this.#endOf(record);
    this.#addTallies();
  }

  /** Ends running calls of one owner, or of all owners but some; returns how many. */
  interruptRunning(which: { owner: string } | { alive: readonly string[] }): number {
    const alive = 'alive' in which ? new Set(which.alive) : null;
    const calls = this.#running
      .all()
      .filter(({ owner }) => ('owner' in which ? owner === which.owner : !alive?.has(owner)));
    const ended_at = this.#now();
    for (const { invocation_id, started_at } of calls) {
      const duration_ms = Math.max(0, ended_at - Date.parse(started_at));
      const end: CallEnd = { invocation_id, status: 'interrupted', ended_at, duration_ms, error_message: STOPPED };
      this.#endOf({ kind: 'end', end, parts: this.#parts.end(null), error: { text: STOPPED, count: 0 } });
    }
    this.#addTallies();
    return calls.length;
  }

  linkInvocation(invocation_id: string, session_id: string): Invocation {
    const row = this.#find.get(invocation_id);
    if (!row) throw invocationNotFound(invocation_id);
    const to = this.#sessions.require(session_id);
    if (row.session === to.num) return toInvocation(strip(row));
    const target = this.#sessions.knownByNum(to.num);
    this.#link.run(target.num, row.num);
    const failed = isFailed(row.status) ? 1 : 0;
    const duration = row.duration_ms ?? 0;
    if (row.session !== null) {
      const from = this.#sessions.knownByNum(row.session);
      from.tools.clear();
      for (const tool of this.#tools.all(from.num)) from.tools.add(tool);
      this.#setTools.run(JSON.stringify([...from.tools]), from.num);
      this.#sessions.add(from, { total: -1, failed: -failed, duration: -duration, at: from.last_activity_at });
    }
    useTool(target, row.server, row.tool);
    this.#sessions.add(target, { total: 1, failed, duration, at: row.ended_at ?? row.started_at });
    this.#rewriteHistory(row);
    const linked: Invocation = {
      ...toInvocation(strip(row)),
      session_id: target.session_id,
      attribution: 'explicit',
      history_dir: null,
    };
    this.#tell('invocation.linked', linked);
    return linked;
  }

  markHistory(entries: readonly { invocation_id: string; history_dir: string }[]): void {
    for (const { invocation_id, history_dir } of entries)
      if (!this.#changed.delete(invocation_id)) this.#history.run(history_dir, invocation_id);
  }

  #start({ start, parts, end }: PreparedRecord & { kind: 'start' }): void {
    if (this.#find.get(start.invocation_id)) {
      if (end) this.#endOf(end);
      return;
    }
    const { session, attribution } = this.#sessionOf(start);
    const redactions = parts.arguments.redactions + parts.meta.redactions;
    const invocation: Invocation = {
      invocation_id: start.invocation_id,
      session_id: session?.session_id ?? null,
      attribution,
      conversation_id: start.conversation?.conversation_id ?? null,
      client: start.client,
      client_version: start.client_version,
      workspace: start.workspace,
      server: start.server,
      tool: start.tool,
      status: end?.end.status ?? 'running',
      started_at: iso(start.started_at),
      ended_at: end ? iso(end.end.ended_at) : null,
      duration_ms: end?.end.duration_ms ?? null,
      arguments_bytes: parts.arguments.bytes,
      result_bytes: end ? resultBytes(end.parts) : null,
      error_message: end?.error?.text ?? null,
      redacted: redactions + (end ? redactionsOf(end) : 0) > 0,
      history_dir: null,
    };
    this.#insertRow(invocation, start, session, parts, end);
    if (session) {
      useTool(session, start.server, start.tool);
      const tally = this.#tally(session, invocation.ended_at ?? invocation.started_at);
      tally.total++;
      if (isFailed(invocation.status)) tally.failed++;
      tally.duration += invocation.duration_ms ?? 0;
    }
    this.#tell(end ? 'invocation.ended' : 'invocation.started', invocation);
  }

  #insertRow(
    call: Invocation,
    start: CallStart,
    session: KnownSession | null,
    parts: StartParts,
    end: PreparedEnd | null,
  ): void {
    const first = firstNum(start.started_at);
    // Calls of one millisecond are numbered on, past its own numbers when it has more; one that is taken is passed over.
    let num = first === this.#lastFirst ? this.#lastNum + 1 : first;
    this.#lastFirst = first;
    for (; ; num++) {
      const { changes } = this.#insert.run(
        num,
        call.invocation_id,
        session?.num ?? null,
        call.attribution,
        call.conversation_id,
        call.client,
        call.client_version,
        call.workspace,
        call.server,
        call.tool,
        call.status,
        call.started_at,
        call.ended_at,
        call.duration_ms,
        call.arguments_bytes,
        call.result_bytes,
        call.error_message,
        call.redacted ? 1 : 0,
        start.owner,
        parts.arguments.blob,
        parts.meta.blob,
        end?.parts.result.blob ?? null,
        end?.parts.error.blob ?? null,
        parts.arguments.text,
        parts.meta.text,
        end?.parts.error.text ?? null,
        end?.parts.result.text ?? null,
      );
      this.#lastNum = num;
      if (changes === 1) return;
    }
  }

  #endOf(prepared: PreparedEnd): void {
    const { end, parts, error } = prepared;
    const row = this.#find.get(end.invocation_id);
    if (!row) return;
    const corrects = row.status === 'interrupted' && end.status !== 'interrupted';
    if (row.status !== 'running' && !corrects) return;
    const call: Invocation = {
      ...toInvocation(strip(row)),
      status: end.status,
      ended_at: iso(end.ended_at),
      duration_ms: end.duration_ms,
      result_bytes: resultBytes(parts),
      error_message: error?.text ?? null,
      redacted: row.redacted === 1 || redactionsOf(prepared) > 0,
      history_dir: null,
    };
    this.#end.run(
      call.status,
      call.ended_at,
      call.duration_ms,
      call.result_bytes,
      call.error_message,
      call.redacted ? 1 : 0,
      parts.result.blob,
      parts.error.blob,
      parts.error.text,
      parts.result.text,
      row.num,
    );
    if (corrects) this.#rewriteHistory(row);
    if (row.session !== null) {
      const session = row.session_id === null ? null : this.#sessions.known(row.session_id);
      const tally = this.#tally(session ?? this.#sessions.knownByNum(row.session), iso(end.ended_at));
      tally.failed += Number(isFailed(call.status)) - Number(isFailed(row.status));
      tally.duration += end.duration_ms - (row.duration_ms ?? 0);
    }
    this.#tell('invocation.ended', call);
  }

  #sessionOf(start: CallStart): { session: KnownSession | null; attribution: Attribution } {
    const { session_id, conversation, attribution, client, workspace } = start;
    if (session_id === null) return { session: null, attribution };
    const context = { client, workspace };
    if (start.provisional && conversation) {
      const { session, bound } = this.#writer.resolve(conversation, session_id, context, start.started_at);
      if (session.session_id !== session_id) this.#writer.tellMoved(conversation, session.session_id);
      return { session, attribution: bound ? 'binding' : attribution };
    }
    const known = this.#sessions.known(session_id);
    const session = known ? this.#writer.wake(known) : this.#writer.make(session_id, context, start.started_at);
    return { session, attribution };
  }

  #rewriteHistory(row: InvocationRow): void {
    this.#changed.add(row.invocation_id);
  }

  #tally(session: KnownSession, at: string): Tally {
    let tally = this.#tallies.get(session);
    if (!tally) {
      tally = { total: 0, failed: 0, duration: 0, at };
      this.#tallies.set(session, tally);
    } else if (at > tally.at) tally.at = at;
    return tally;
  }

  #addTallies(): void {
    for (const [session, tally] of this.#tallies) this.#sessions.add(session, tally);
    this.#tallies.clear();
  }

  #tell(type: 'invocation.started' | 'invocation.ended' | 'invocation.linked', call: Invocation): void {
    this.#events.append(type, call.session_id, `{"invocation":${JSON.stringify(call)}}`);
  }
}

function isFailed(status: InvocationStatus): boolean {
  return status !== 'running' && status !== 'completed' && status !== 'cancelled';
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

/** Not-a-number becomes null in the JSON that records travel in, and null would be 1970. */
function requireMoment(name: string, ms: number): void {
  if (!Number.isFinite(ms))
    throw new DaemonError('invalid_input', `${name} ${ms} is no time: give milliseconds since the epoch`);
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function resultBytes({ result, error }: EndParts): number | null {
  return result.bytes + error.bytes || null;
}

function redactionsOf({ parts, error }: PreparedEnd): number {
  const inMessage = error === null ? 0 : error.count || Number(wasRedacted(error.text));
  return parts.result.redactions + parts.error.redactions + inMessage;
}

function strip({ session: _session, ...row }: InvocationRow & { session: number | null }): InvocationRow {
  return row;
}

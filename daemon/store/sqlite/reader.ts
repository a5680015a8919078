import type { Database, Statement } from 'better-sqlite3';
import * as z from 'zod';
import { DaemonError } from '../../../shared/errors.ts';
import type { Invocation } from '../../../shared/invocation.ts';
import type { OperationArguments } from '../../../shared/operations/table.ts';
import type { Session } from '../../../shared/session.ts';
import { BlobFolder } from '../../records/blobs.ts';
import type { Page } from '../store.ts';
import { decodeCursor, encodeCursor, queryHash } from './cursor.ts';
import { invocationConditions, type Query, sessionQuery, sqlOf } from './filters.ts';
import { type DatabaseOptions, openForReading } from './openDatabase.ts';
import {
  INVOCATION_COLUMNS,
  type InvocationRow,
  PART_COLUMNS,
  PARTS,
  type PartBlobs,
  type PartTexts,
  SESSION_COLUMNS,
  type SessionRow,
  toInvocation,
  toSession,
} from './rows.ts';

const COUNTED = 10_000;
const STATEMENTS = 200;
const sessionKey = z.tuple([z.string(), z.int()]);
const invocationKey = z.tuple([z.int()]);

/** A call with its parts as JSON text, for those who write them on without looking inside. */
export interface InvocationText {
  readonly invocation: Invocation;
  readonly parts: PartTexts;
}

/** Opens its own connection to a database that a store has made. */
export function openSqliteReader(options: DatabaseOptions & { readonly blobDir: string | null }): SqliteReader {
  return new SqliteReader(openForReading(options), options.blobDir);
}

/** Reads of the store, synchronous: to be used in a worker thread, on a connection of its own or the writer's. */
export class SqliteReader {
  readonly #db: Database;
  readonly #blobs: BlobFolder | null;
  readonly #statements = new Map<string, Statement<unknown[], unknown>>();

  constructor(db: Database, blobDir: string | null) {
    this.#db = db;
    this.#blobs = blobDir === null ? null : new BlobFolder(blobDir, false);
  }

  /** Rejects with `not_found`. */
  getSession(session_id: string): Session {
    const row = this.#get<SessionRow>(`SELECT ${SESSION_COLUMNS} FROM sessions s WHERE s.session_id = ?`, [session_id]);
    if (!row) throw sessionNotFound(session_id);
    return toSession(row);
  }

  /** The most recently active first. */
  listSessions(filter: OperationArguments<'sessions_list'>): Page<Session> {
    const hash = queryHash('sessions', filter);
    const { query, order } = sessionQuery(filter);
    const total = filter.cursor === undefined ? this.#count(query) : null;
    if (filter.cursor !== undefined) {
      const key = decodeCursor(filter.cursor, hash, sessionKey);
      query.where.push(`(${order}) < (?, ?)`);
      query.params.push(...key);
    }
    const by = order.replace(', ', ' DESC, ');
    const sql = `SELECT ${SESSION_COLUMNS} ${sqlOf(query)} ORDER BY ${by} DESC LIMIT ?`;
    const rows = this.#all<SessionRow>(sql, [...query.params, filter.limit + 1]);
    const items = rows.slice(0, filter.limit);
    const last = rows.length > filter.limit ? items.at(-1) : undefined;
    return {
      items: items.map(toSession),
      next_cursor: last ? encodeCursor(hash, [last.last_activity_at, last.num]) : null,
      total,
    };
  }

  /** The call with its parts, as JSON text of an InvocationDetail: big parts are not parsed on the way. */
  invocationJson(invocation_id: string): string {
    const row = this.#get<InvocationRow & PartTexts & PartBlobs>(
      `SELECT ${INVOCATION_COLUMNS}, ${PART_COLUMNS} FROM invocations i WHERE i.invocation_id = ?`,
      [invocation_id],
    );
    if (!row) throw invocationNotFound(invocation_id);
    return detailJson(this.#toText(row));
  }

  /** Newest first. */
  listInvocations(filter: OperationArguments<'invocations_list'>): Page<Invocation> {
    const hash = queryHash('invocations', filter);
    const query = invocationConditions(filter);
    let total: number | null = null;
    if (filter.session_id !== undefined) {
      const session = this.#get<{ num: number; total_invocations: number }>(
        'SELECT num, total_invocations FROM sessions WHERE session_id = ?',
        [filter.session_id],
      );
      if (!session) throw sessionNotFound(filter.session_id);
      if (query.where.length === 0) total = session.total_invocations;
      query.where.unshift('i.session = ?');
      query.params.unshift(session.num);
    }
    if (filter.cursor !== undefined) {
      const key = decodeCursor(filter.cursor, hash, invocationKey);
      query.where.push('i.num < ?');
      query.params.push(...key);
      total = null;
    } else total ??= this.#count(query);
    const sql = `SELECT ${INVOCATION_COLUMNS} ${sqlOf(query)} ORDER BY i.num DESC LIMIT ?`;
    const rows = this.#all<InvocationRow>(sql, [...query.params, filter.limit + 1]);
    const items = rows.slice(0, filter.limit);
    const last = rows.length > filter.limit ? items.at(-1) : undefined;
    return { items: items.map(toInvocation), next_cursor: last ? encodeCursor(hash, [last.num]) : null, total };
  }

  /** The answer of listEvents as JSON text: events are kept as they are sent. */
  eventsJson(after: number, limit: number): string {
    const rows = this.#all<{ seq: number; at: string; type: string; session_id: string | null; data: string }>(
      'SELECT seq, at, type, session_id, data FROM events WHERE seq > ? ORDER BY seq LIMIT ?',
      [after, limit],
    );
    const ends = this.#get<{ oldest: number | null; latest: number | null }>(
      'SELECT (SELECT min(seq) FROM events) AS oldest, (SELECT max(seq) FROM events) AS latest',
      [],
    );
    const latest = ends?.latest ?? 0;
    return `{"events":[${rows.map(eventJson).join(',')}],"oldest":${ends?.oldest ?? latest + 1},"latest":${latest}}`;
  }

  /** How much there is. */
  counts(): { sessions: number; invocations: number; running: number } {
    const row = this.#get<{ sessions: number; invocations: number; running: number }>(
      `SELECT (SELECT count(*) FROM sessions) AS sessions, (SELECT count(*) FROM invocations) AS invocations,
         (SELECT count(*) FROM invocations WHERE status = 'running') AS running`,
      [],
    );
    return row ?? { sessions: 0, invocations: 0, running: 0 };
  }

  /** Ended calls that .history does not have yet, oldest first; the blobs of each are read when it is its turn. */
  *unwrittenTexts(limit: number): Generator<InvocationText> {
    const rows = this.#all<InvocationRow & PartTexts & PartBlobs>(
      `SELECT ${INVOCATION_COLUMNS}, ${PART_COLUMNS}
       FROM invocations i INDEXED BY invocations_unwritten WHERE i.ended_at IS NOT NULL AND i.history_dir IS NULL ORDER BY i.num LIMIT ?`,
      [limit],
    );
    for (const row of rows) yield this.#toText(row);
  }

  /** Sessions that .sessions shows as they were before, with the revision to be marked once it shows this one. */
  dirtySessions(limit: number): (Session & { revision: number })[] {
    const rows = this.#all<SessionRow>(
      `SELECT ${SESSION_COLUMNS} FROM sessions s INDEXED BY sessions_dirty WHERE s.files_revision < s.revision
       ORDER BY s.num LIMIT ?`,
      [limit],
    );
    return rows.map(row => ({ ...toSession(row), revision: row.revision }));
  }

  /**
   * Calls of a session after the one with `afterNum` (0 for all), oldest first. `num` follows started_at, not the order
   * of writing: a call that was spooled, or linked here later, can stand before one that was read already.
   */
  sessionInvocations(session_id: string, afterNum: number, limit: number): (Invocation & { num: number })[] {
    const rows = this.#all<InvocationRow>(
      `SELECT ${INVOCATION_COLUMNS} FROM sessions s JOIN invocations i INDEXED BY invocations_by_session
         ON i.session = s.num WHERE s.session_id = ? AND i.num > ? ORDER BY i.num LIMIT ?`,
      [session_id, afterNum, limit],
    );
    return rows.map(row => ({ ...toInvocation(row), num: row.num }));
  }

  close(): void {
    this.#db.close();
  }

  #toText(row: InvocationRow & PartTexts & PartBlobs): InvocationText {
    const {
      arguments: args,
      meta,
      result,
      error,
      arguments_blob,
      meta_blob,
      result_blob,
      error_blob,
      ...summary
    } = row;
    return {
      invocation: toInvocation(summary),
      parts: {
        arguments: this.#part(args, arguments_blob),
        meta: this.#part(meta, meta_blob),
        result: this.#part(result, result_blob),
        error: this.#part(error, error_blob),
      },
    };
  }

  #part(text: string | null, blob: string | null): string | null {
    return blob === null || this.#blobs === null ? text : this.#blobs.read(blob);
  }

  /** How many rows a query has, null when counting them would take long. */
  #count(query: Query): number | null {
    const whole = query.where.length === 0;
    const sql = whole
      ? `SELECT count(*) AS n ${sqlOf(query)}`
      : `SELECT count(*) AS n FROM (SELECT 1 ${sqlOf(query)} LIMIT ${COUNTED + 1})`;
    const n = this.#get<{ n: number }>(sql, query.params)?.n ?? 0;
    return whole || n <= COUNTED ? n : null;
  }

  #get<Row>(sql: string, params: readonly unknown[]): Row | undefined {
    return this.#prepare<Row>(sql).get(...params);
  }

  #all<Row>(sql: string, params: readonly unknown[]): Row[] {
    return this.#prepare<Row>(sql).all(...params);
  }

  #prepare<Row>(sql: string): Statement<unknown[], Row> {
    let statement = this.#statements.get(sql);
    if (!statement) {
      if (this.#statements.size >= STATEMENTS) this.#statements.clear();
      statement = this.#db.prepare<unknown[], unknown>(sql);
      this.#statements.set(sql, statement);
    }
    // The row type belongs to the text of the statement, which is the key of this map.
    return statement as Statement<unknown[], Row>;
  }
}

/** One event as it is sent: `data` holds the members that its type has of its own. */
export function eventJson(row: { seq: number; at: string; type: string; session_id: string | null; data: string }) {
  return `{"seq":${row.seq},"at":"${row.at}","type":"${row.type}","session_id":${JSON.stringify(row.session_id)},${row.data.slice(1)}`;
}

/** The text of an InvocationDetail. */
function detailJson({ invocation, parts }: InvocationText): string {
  return `${JSON.stringify(invocation).slice(0, -1)},${PARTS.map(part => `"${part}":${parts[part] ?? 'null'}`).join(',')}}`;
}

export function sessionNotFound(session_id: string): DaemonError {
  return new DaemonError(
    'not_found',
    `there is no session ${JSON.stringify(session_id)}: list the sessions to find its id`,
  );
}

export function invocationNotFound(invocation_id: string): DaemonError {
  return new DaemonError(
    'not_found',
    `there is no invocation ${JSON.stringify(invocation_id)}: list the invocations to find its id`,
  );
}

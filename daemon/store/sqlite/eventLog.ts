import type { Database, Statement } from 'better-sqlite3';
import type { EventType } from '../../../shared/events.ts';
import { eventJson } from './reader.ts';

const KEPT = 100_000;
/** Rows are taken away this many at a time, so that most commits pay nothing for it. */
const PRUNED_AT_ONCE = 1000;

/** Writes events inside the transaction of their change, and gives them out, as JSON, once it is committed. */
export class EventLog {
  readonly #insert: Statement;
  readonly #prune: Statement;
  readonly #latest: Statement<[], number>;
  readonly #now: () => number;
  #seq = 0;
  #pruneAt = 0;
  #pending: string[] = [];
  #committed: string[] = [];

  constructor(db: Database, now: () => number) {
    this.#insert = db.prepare('INSERT INTO events (seq, at, type, session_id, data) VALUES (?, ?, ?, ?, ?)');
    this.#prune = db.prepare('DELETE FROM events WHERE seq <= ?');
    this.#latest = db.prepare<[], number>('SELECT max(seq) FROM events').pluck();
    this.#now = now;
    this.reload();
  }

  /** Reads again where the log stands: after a rollback, or when another connection wrote. */
  reload(): void {
    this.#seq = this.#latest.get() ?? 0;
    this.#pruneAt = Math.max(KEPT, this.#seq - (this.#seq % PRUNED_AT_ONCE)) + PRUNED_AT_ONCE;
    this.#pending = [];
  }

  /** `data` is the JSON object of the members that this type of event has of its own. */
  append(type: EventType, session_id: string | null, data: string): void {
    const row = { seq: ++this.#seq, at: new Date(this.#now()).toISOString(), type, session_id, data };
    this.#insert.run(row.seq, row.at, row.type, row.session_id, row.data);
    if (this.#seq >= this.#pruneAt) {
      this.#prune.run(this.#seq - KEPT);
      this.#pruneAt = this.#seq + PRUNED_AT_ONCE;
    }
    this.#pending.push(eventJson(row));
  }

  commit(): void {
    if (this.#pending.length === 0) return;
    this.#committed.push(...this.#pending);
    this.#pending = [];
  }

  /** The JSON list of what was committed since the last call; null when there is nothing. */
  take(): string | null {
    if (this.#committed.length === 0) return null;
    const list = `[${this.#committed.join(',')}]`;
    this.#committed = [];
    return list;
  }
}

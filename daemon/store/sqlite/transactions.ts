import type { Database, Statement } from 'better-sqlite3';

/** What has to know how a transaction went. */
export interface Participant {
  commit(): void;
  /** What is remembered of the database no longer holds. */
  reload(): void;
}

/** Runs changes, each in one transaction: all of it is committed, or nothing is changed and the error is thrown on. */
export class Transactions {
  readonly #db: Database;
  readonly #participants: readonly Participant[];
  readonly #begin: Statement;
  readonly #commit: Statement;
  readonly #rollback: Statement;
  readonly #dataVersion: Statement<[], number>;
  #seen: number;

  constructor(db: Database, participants: readonly Participant[]) {
    this.#db = db;
    this.#participants = participants;
    this.#begin = db.prepare('BEGIN IMMEDIATE');
    this.#commit = db.prepare('COMMIT');
    this.#rollback = db.prepare('ROLLBACK');
    this.#dataVersion = db.prepare<[], number>('PRAGMA data_version').pluck();
    this.#seen = this.#dataVersion.get() ?? 0;
  }

  run<Result>(body: () => Result): Result {
    this.#begin.run();
    try {
      const version = this.#dataVersion.get() ?? 0;
      if (version !== this.#seen) {
        this.#seen = version;
        for (const participant of this.#participants) participant.reload();
      }
      const result = body();
      this.#commit.run();
      for (const participant of this.#participants) participant.commit();
      return result;
    } catch (error) {
      // A full disk makes SQLite roll back by itself.
      if (this.#db.inTransaction) this.#rollback.run();
      for (const participant of this.#participants) participant.reload();
      throw error;
    }
  }
}

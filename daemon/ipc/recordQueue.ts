import { setTimeout as sleep } from 'node:timers/promises';
import { DaemonError } from '../../shared/errors.ts';
import type { CallRecord } from '../records/callRecord.ts';
import type { Log } from './protocol.ts';

const BATCH_BYTES = 1024 * 1024;
const BATCH_RECORDS = 2000;
const FULL_BYTES = 16 * 1024 * 1024;
const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 5000;
const PATIENCE_MS = 30_000;

/** Told how many of its records are done with, in the order in which it added them. */
export interface RecordOrigin {
  done(count: number): void;
}

interface Item {
  readonly record: CallRecord;
  readonly bytes: number;
  readonly origin: RecordOrigin;
}

/**
 * Gathers records and writes them in order, one batch at a time. While the store is unavailable it tries again and takes no
 * more (`full`); a record that the store refuses for good is logged and passed over, so that it does not hold up the rest.
 */
export class RecordQueue {
  readonly #write: (records: readonly CallRecord[]) => Promise<void>;
  readonly #log: Log;
  #items: Item[] = [];
  #bytes = 0;
  #running: Promise<void> | null = null;
  #room: (() => void)[] = [];
  readonly #stop = new AbortController();

  constructor(write: (records: readonly CallRecord[]) => Promise<void>, log: Log) {
    this.#write = write;
    this.#log = log;
  }

  /** True while no more should be read from the sockets. */
  get full(): boolean {
    return this.#bytes > FULL_BYTES;
  }

  /** Calls back once the queue is no longer full. */
  whenRoom(callback: () => void): void {
    this.#room.push(callback);
  }

  add(record: CallRecord, bytes: number, origin: RecordOrigin): void {
    // Not acknowledged, so it is sent to the next daemon; the store may be closed by now.
    if (this.#stop.signal.aborted) return;
    this.#items.push({ record, bytes, origin });
    this.#bytes += bytes;
  }

  /** Begins to write what was added. */
  flush(): void {
    if (this.#running || this.#items.length === 0) return;
    this.#running = this.#run().finally(() => {
      this.#running = null;
      if (this.#items.length > 0 && !this.#stop.signal.aborted) this.flush();
    });
  }

  /** Resolves when all that was added before is written. */
  async drained(): Promise<void> {
    this.flush();
    while (this.#running) await this.#running;
  }

  /** Stops trying again; what is not written then was not acknowledged, and is sent to the next daemon. */
  async close(): Promise<void> {
    this.#stop.abort();
    this.flush();
    while (this.#running) await this.#running;
  }

  async #run(): Promise<void> {
    while (this.#items.length > 0) {
      const batch = this.#take();
      if (!(await this.#commit(batch))) return;
      for (const item of batch) this.#bytes -= item.bytes;
      tell(batch);
      if (!this.full) for (const callback of this.#room.splice(0)) callback();
    }
  }

  #take(): Item[] {
    let bytes = 0;
    let count = 0;
    for (const item of this.#items) {
      if (count > 0 && (bytes + item.bytes > BATCH_BYTES || count === BATCH_RECORDS)) break;
      bytes += item.bytes;
      count++;
    }
    if (count < this.#items.length) return this.#items.splice(0, count);
    const all = this.#items;
    this.#items = [];
    return all;
  }

  /** False when it was stopped before the batch was written. */
  async #commit(batch: readonly Item[]): Promise<boolean> {
    try {
      await this.#write(batch.map(item => item.record));
      return true;
    } catch (err) {
      this.#log.warn({ err, records: batch.length }, 'records were not written; each is tried by itself');
    }
    for (const item of batch) if (!(await this.#commitOne(item.record))) return false;
    return true;
  }

  async #commitOne(record: CallRecord): Promise<boolean> {
    const begun = Date.now();
    for (let delay = FIRST_DELAY_MS; ; delay = Math.min(delay * 2, LONGEST_DELAY_MS)) {
      try {
        await this.#write([record]);
        return true;
      } catch (err) {
        const code = err instanceof DaemonError ? err.code : 'internal';
        const forGood = code === 'invalid_input' || code === 'too_large';
        if (forGood || (code !== 'unavailable' && Date.now() - begun > PATIENCE_MS)) {
          const { invocation_id } = record.kind === 'start' ? record.start : record.end;
          this.#log.error({ err, invocation_id, kind: record.kind }, 'a record can not be written and is lost');
          return true;
        }
        if (this.#stop.signal.aborted) return false;
        this.#log.warn({ err, delay }, 'a record was not written; it is tried again');
      }
      await sleep(delay, undefined, { signal: this.#stop.signal }).catch(() => undefined);
    }
  }
}

function tell(batch: readonly Item[]): void {
  const counts = new Map<RecordOrigin, number>();
  for (const { origin } of batch) counts.set(origin, (counts.get(origin) ?? 0) + 1);
  for (const [origin, count] of counts) origin.done(count);
}

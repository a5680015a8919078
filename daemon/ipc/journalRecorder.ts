import { DaemonError } from '../../shared/errors.ts';
import type { Recorder } from '../gateway/recorder.ts';
import type { CallEnd, CallRecord, CallStart } from '../records/callRecord.ts';
import type { Store } from '../store/store.ts';
import { encodeFrame } from './framing.ts';
import { type Redact, redactFrame } from './redactFrame.ts';
import { SpoolFile } from './spool.ts';

/** How long records gather before they are committed together. */
const GATHER_MS = 20;
const GATHERED_BYTES = 512 * 1024;
/** Up to here a call is journaled; taking the secrets out of more would be felt, so that larger ones wait for the commit. */
const JOURNALED_BYTES = 16 * 1024;
/** How long after a failed commit it is tried again. */
const RETRY_MS = 1_000;
/** Most that is kept in memory while nothing can be committed; what is older is in the journal, if anywhere. */
const KEPT_BYTES = 64 * 1024 * 1024;

export interface JournalRecorderOptions {
  readonly store: Pick<Store, 'writeRecords'>;
  readonly owner: string;
  readonly spoolDir: string;
  readonly durability: 'process' | 'power';
  readonly redact: Redact;
  readonly onError: (error: unknown) => void;
}

/**
 * The recorder of gateways that run in the daemon. With durability `process` a call's records are in a journal, a spool file
 * of the daemon's own, before its result is passed on: the kernel keeps that when the daemon is killed, and the next one
 * replays it. The commit follows in batches, so that a call waits for no other thread. With `power` it waits for the commit.
 */
export class JournalRecorder implements Recorder {
  readonly #options: JournalRecorderOptions;
  readonly #journal: SpoolFile;
  /** Starts that are not committed yet: the journal needs them with their end. */
  readonly #starts = new Map<string, CallRecord>();
  #gathered: CallRecord[] = [];
  #bytes = 0;
  #timer: NodeJS.Timeout | null = null;
  #committing = 0;
  /** The commit that was begun last; the store writes in order, so that those before it are done with it. */
  #latest: Promise<void> = Promise.resolve();
  /** Since a commit failed, until one succeeds: calls don't wait, all goes to the journal, which keeps it. */
  #failing = false;
  /** Some records are in the journal only: it is left to the next daemon. */
  #dropped = false;

  constructor(options: JournalRecorderOptions) {
    this.#options = options;
    this.#journal = new SpoolFile(options.spoolDir, options.owner);
  }

  start(start: CallStart, message: Uint8Array): Promise<void> | undefined {
    const record: CallRecord = { kind: 'start', start, message };
    this.#gather(record);
    if (this.#options.durability === 'power' && !this.#failing) return this.#commit();
    this.#starts.set(start.invocation_id, record);
    return undefined;
  }

  end(end: CallEnd, message: Uint8Array | null): Promise<void> | undefined {
    const record: CallRecord = { kind: 'end', end, message };
    const start = this.#starts.get(end.invocation_id);
    this.#gather(record);
    const size = (message?.length ?? 0) + (start?.message?.length ?? 0);
    if (!this.#failing && (this.#options.durability === 'power' || size > JOURNALED_BYTES)) return this.#commit();
    try {
      if (start !== undefined) this.#append(start);
      this.#append(record);
    } catch (error) {
      this.#options.onError(error);
      return this.#failing ? undefined : this.#commit();
    }
    return undefined;
  }

  /** Commits what is left and removes the journal. */
  async close(): Promise<void> {
    await this.#commit();
    if (this.#timer !== null) clearTimeout(this.#timer);
    try {
      for (const record of this.#gathered) this.#append(record);
    } catch (error) {
      this.#options.onError(error);
    }
    if (this.#committing === 0 && this.#gathered.length === 0 && !this.#dropped) this.#journal.remove();
    else this.#journal.close();
  }

  #append(record: CallRecord): void {
    const header = record.kind === 'start' ? { t: 'start', start: record.start } : { t: 'end', end: record.end };
    this.#journal.append(redactFrame(encodeFrame(JSON.stringify(header), record.message), this.#options.redact));
  }

  #gather(record: CallRecord): void {
    this.#gathered.push(record);
    this.#bytes += record.message?.length ?? 0;
    if (this.#failing) this.#bound();
    else if (this.#bytes > GATHERED_BYTES) void this.#commit();
    else this.#timer ??= setTimeout(() => void this.#commit(), GATHER_MS);
  }

  /** Resolves when all that was gathered so far is committed, also by a commit that is under way. */
  #commit(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const records = this.#gathered;
    this.#gathered = [];
    this.#bytes = 0;
    if (records.length > 0) this.#latest = this.#write(records);
    return this.#latest;
  }

  async #write(records: readonly CallRecord[]): Promise<void> {
    this.#committing += 1;
    try {
      await this.#options.store.writeRecords(records);
      this.#failing = false;
      this.#written(records);
    } catch (error) {
      // a call never fails because it could not be recorded
      this.#options.onError(error);
      await this.#eachAlone(records);
    } finally {
      this.#committing -= 1;
    }
    if (this.#committing === 0 && this.#gathered.length === 0 && !this.#dropped) this.#journal.clear();
  }

  /** One record that the store refuses for good must not hold up the others; the rest is kept and tried again. */
  async #eachAlone(records: readonly CallRecord[]): Promise<void> {
    const kept: CallRecord[] = [];
    for (const record of records) {
      if (kept.length > 0) {
        kept.push(record);
        continue;
      }
      try {
        await this.#options.store.writeRecords([record]);
        this.#written([record]);
      } catch (error) {
        if (error instanceof DaemonError && (error.code === 'invalid_input' || error.code === 'too_large')) {
          this.#options.onError(error);
          this.#written([record]);
        } else kept.push(record);
      }
    }
    this.#failing = kept.length > 0;
    if (!this.#failing) return;
    this.#gathered = [...kept, ...this.#gathered];
    for (const { message } of kept) this.#bytes += message?.length ?? 0;
    this.#bound();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#commit(), RETRY_MS);
  }

  #written(records: readonly CallRecord[]): void {
    for (const record of records) if (record.kind === 'start') this.#starts.delete(record.start.invocation_id);
  }

  #bound(): void {
    while (this.#bytes > KEPT_BYTES) {
      const oldest = this.#gathered.shift();
      if (oldest === undefined) return;
      this.#dropped = true;
      this.#bytes -= oldest.message?.length ?? 0;
      this.#written([oldest]);
    }
  }
}

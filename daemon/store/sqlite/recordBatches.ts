import type { CallRecord } from '../../records/callRecord.ts';
import { fromWireError, type PackedRecords, packRecords, type WorkerResponse } from './workerProtocol.ts';

/** One huge batch would hold up every other write, so that what waits is cut at about this. */
const BATCH_BYTES = 1024 * 1024;

interface Group {
  readonly records: readonly CallRecord[];
  readonly bytes: number;
  resolve(): void;
  reject(error: unknown): void;
}

/**
 * Group commit: records go to the writer at once while it is idle; what comes while it commits is gathered, and goes as one
 * batch when it is done. Batches are written in order.
 */
export class RecordBatches {
  readonly #write: (batch: PackedRecords) => Promise<WorkerResponse>;
  #queue: Group[] = [];
  #sent = 0;

  constructor(write: (batch: PackedRecords) => Promise<WorkerResponse>) {
    this.#write = write;
  }

  /** Resolves when these are committed. */
  add(records: readonly CallRecord[]): Promise<void> {
    if (records.length === 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      let bytes = 0;
      for (const { message } of records) bytes += message?.length ?? 0;
      this.#queue.push({ records, bytes, resolve, reject });
      if (this.#sent === 0) this.#send();
    });
  }

  /** Sends all that waits, so that what the writer is asked next comes after it. */
  sendAll(): void {
    while (this.#queue.length > 0) this.#send();
  }

  #send(): void {
    const groups = this.#take();
    if (groups.length === 0) return;
    this.#sent++;
    void this.#pack(groups)
      .then(
        ({ failed }) => {
          for (const { group, error } of failed ?? []) groups[group]?.reject(fromWireError(error));
          // A promise that was rejected stays so.
          for (const group of groups) group.resolve();
        },
        error => {
          for (const group of groups) group.reject(error);
        },
      )
      .then(() => {
        this.#sent--;
        if (this.#sent === 0) this.#send();
      });
  }

  /** Rejects, as the write does, when the records can't be packed: those after them must not wait for ever. */
  async #pack(groups: readonly Group[]): Promise<WorkerResponse> {
    return this.#write(packRecords(groups.map(group => group.records)));
  }

  #take(): Group[] {
    let bytes = 0;
    let count = 0;
    for (const group of this.#queue) {
      if (count > 0 && bytes + group.bytes > BATCH_BYTES) break;
      bytes += group.bytes;
      count++;
    }
    return this.#queue.splice(0, count);
  }
}

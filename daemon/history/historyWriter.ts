import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { DaemonError } from '../../shared/errors.ts';
import type { Store } from '../store/store.ts';
import { faultOf, type HistoryFault, type StepResult } from './historyPass.ts';

/** Where a HistoryWriter reads and writes. */
export interface HistoryWriterOptions {
  readonly home: string;
  /** The database file of the store, which the writer's thread opens for itself. */
  readonly file: string;
  readonly blobDir: string | null;
  readonly nativeBinding?: string | undefined;
  /** historyWorker, as source or as bundled. */
  readonly workerUrl: URL;
  readonly store: Pick<Store, 'markHistory' | 'markSessionFiles'>;
  /** Told of each kind of trouble once, until writing works again. It is tried again all the while. */
  readonly onError: (error: DaemonError) => void;
}

interface Waiter {
  resolve(): void;
  reject(error: unknown): void;
}

const SOON_MS = 50;
const BUSY_MS = 200;
const RETRY_MS = 500;
const LONGEST_RETRY_MS = 60_000;

/**
 * Keeps `.history` and `.sessions` of the home as the store is, in a thread of its own, behind the answers. What a crash
 * left unwritten is written after the next start. Never throws into its caller: the store stays the record of truth.
 */
export class HistoryWriter {
  readonly #options: HistoryWriterOptions;
  readonly #reported = new Set<string>();
  #worker: Worker | null = null;
  #step: { resolve(result: StepResult): void; reject(error: unknown): void } | null = null;
  #flushes: Waiter[] = [];
  #running: Promise<void> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #timerAt = 0;
  #nudged = false;
  #delay = SOON_MS;
  #retry = 0;
  #retryAt = 0;
  #started = false;
  #closed = false;

  constructor(options: HistoryWriterOptions) {
    this.#options = options;
  }

  /** Begins to write what the store has and the home lacks. */
  start(): void {
    this.#started = true;
    this.#run();
  }

  /** Says that the store has changed: a pass begins within 50 ms, or 200 ms when they follow each other. */
  nudge(): void {
    this.#nudged = true;
    if (!this.#running) this.#schedule(this.#delay);
  }

  /** Resolves when all that was committed before is on disk. Rejects with what stands in the way. */
  flush(): Promise<void> {
    if (this.#closed) return Promise.reject(closedError());
    return new Promise((resolve, reject) => {
      this.#flushes.push({ resolve, reject });
      this.#run();
    });
  }

  /**
   * Writes what is left, for `patience_ms` at most, then ends the step under way and the thread. What is unwritten by then
   * is written after the next start.
   */
  async close(patience_ms = 0): Promise<void> {
    if (patience_ms > 0 && this.#started && !this.#closed) {
      const enough = new AbortController();
      // What stands in its way was told to onError.
      const flushed = this.flush().catch(() => undefined);
      const late = sleep(patience_ms, undefined, { signal: enough.signal }).catch(() => undefined);
      await Promise.race([flushed, late]);
      enough.abort();
    }
    this.#closed = true;
    if (this.#timer) clearTimeout(this.#timer);
    await this.#running;
    await this.#worker?.terminate();
  }

  #schedule(ms: number): void {
    if (this.#closed) return;
    const at = Math.max(performance.now() + ms, this.#retryAt);
    if (this.#timer) {
      if (this.#timerAt <= at) return;
      clearTimeout(this.#timer);
    }
    this.#timerAt = at;
    this.#timer = setTimeout(() => this.#run(), Math.ceil(at - performance.now()));
    this.#timer.unref();
  }

  #run(): void {
    if (this.#running || this.#closed) return;
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    this.#running = this.#pass().then(next => {
      this.#running = null;
      if (this.#closed) this.#settle(this.#flushes.splice(0), closedError());
      else if (this.#flushes.length > 0) this.#run();
      else if (next !== null) this.#schedule(next);
    });
  }

  /** Steps until nothing is left; returns after how many milliseconds to look again, null for at the next nudge. */
  async #pass(): Promise<number | null> {
    this.#nudged = false;
    const flushes: Waiter[] = [];
    let again = true;
    try {
      for (;;) {
        flushes.push(...this.#flushes.splice(0));
        const result = await this.#askStep(flushes.length > 0);
        if (result.calls.length > 0) await this.#options.store.markHistory(result.calls);
        if (result.sessions.length > 0) await this.#options.store.markSessionFiles(result.sessions);
        if (result.faults.length > 0) return this.#fail(result.faults, flushes);
        if (this.#closed) {
          this.#settle(flushes, result.more ? closedError() : null);
          return null;
        }
        if (result.more) continue;
        // The store leaves a call unmarked that may have changed since it was read: it comes up once more.
        if (result.calls.length > 0 && again) {
          again = false;
          continue;
        }
        this.#retry = 0;
        this.#retryAt = 0;
        this.#reported.clear();
        this.#settle(flushes, null);
        this.#delay = this.#nudged ? Math.min(this.#delay * 2, BUSY_MS) : SOON_MS;
        return this.#nudged ? this.#delay : result.due_in_ms;
      }
    } catch (error) {
      return this.#fail([faultOf(error)], flushes, error);
    }
  }

  #fail(faults: readonly HistoryFault[], flushes: readonly Waiter[], cause?: unknown): number {
    let first: DaemonError | null = null;
    for (const fault of faults) {
      const error = this.#errorOf(fault, cause);
      first ??= error;
      if (this.#reported.has(fault.kind)) continue;
      this.#reported.add(fault.kind);
      if (!this.#closed) this.#options.onError(error);
    }
    this.#settle(flushes, first);
    this.#retry = Math.min(this.#retry === 0 ? RETRY_MS : this.#retry * 2, LONGEST_RETRY_MS);
    this.#retryAt = performance.now() + this.#retry;
    return this.#retry;
  }

  #errorOf({ kind, message }: HistoryFault, cause: unknown): DaemonError {
    const text = `.history and .sessions in ${this.#options.home} can't be written (${kind}: ${message}): see to the disk and the rights there; nothing is lost, it is tried again`;
    return new DaemonError('unavailable', text, { cause });
  }

  #settle(flushes: readonly Waiter[], error: DaemonError | null): void {
    for (const flush of flushes) {
      if (error) flush.reject(error);
      else flush.resolve();
    }
  }

  #askStep(all: boolean): Promise<StepResult> {
    return new Promise((resolve, reject) => {
      this.#step = { resolve, reject };
      this.#worker ??= this.#startWorker();
      this.#worker.postMessage(all);
    });
  }

  #startWorker(): Worker {
    const { home, file, blobDir, nativeBinding, workerUrl } = this.#options;
    const worker = new Worker(workerUrl, { name: 'history', workerData: { home, file, blobDir, nativeBinding } });
    worker.on('message', (result: StepResult) => this.#step?.resolve(result));
    worker.on('error', error => this.#workerGone(worker, error));
    worker.on('exit', code => this.#workerGone(worker, new Error(`the history thread ended with code ${code}`)));
    return worker;
  }

  #workerGone(worker: Worker, error: unknown): void {
    // A thread that fails tells it twice; by the second time another may be at work.
    if (this.#worker !== worker) return;
    this.#worker = null;
    this.#step?.reject(error);
  }
}

function closedError(): DaemonError {
  return new DaemonError(
    'unavailable',
    'the history writer is closed: what it has not written is written at the next start',
  );
}

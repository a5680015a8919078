import { Worker } from 'node:worker_threads';
import { DaemonError } from '../../../shared/errors.ts';
import { fromWireError, type PackedRecords, type WorkerResponse, type WorkerSetup } from './workerProtocol.ts';

interface Waiting {
  resolve(response: WorkerResponse): void;
  reject(error: DaemonError): void;
}

/** One store worker: questions go in and answers come out in order. */
export class WorkerChannel {
  /** Resolves when the worker has opened what it works on; rejects with why it could not. */
  readonly ready: Promise<void>;
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  readonly #onEvents: (json: string) => void;
  #id = 0;
  #dead: DaemonError | null = null;

  constructor(
    url: URL,
    setup: WorkerSetup,
    hooks: { onEvents: (json: string) => void; onFault: (error: DaemonError) => void },
  ) {
    this.#onEvents = hooks.onEvents;
    this.#worker = new Worker(url, { workerData: setup, name: `store ${setup.role}` });
    this.ready = new Promise((resolve, reject) => {
      this.#waiting.set(0, { resolve: () => resolve(), reject });
    });
    this.ready.catch(() => undefined);
    this.#worker.on('message', (response: WorkerResponse) => {
      if (response.fault) hooks.onFault(fromWireError(response.fault));
      else this.#settle(response);
    });
    this.#worker.on('error', cause => {
      hooks.onFault(this.#die('the thread that holds the database broke down: restart sessiond', cause));
    });
    this.#worker.on('exit', () => {
      this.#die('the store is closed', undefined);
    });
  }

  /** The answer's value as JSON text; undefined when there is none. */
  async call(method: string, args: readonly unknown[]): Promise<string | undefined> {
    const response = await this.#ask(id => this.#worker.postMessage({ id, method, args }));
    return response.value;
  }

  /** Resolves when the batch is committed; `failed` names the callers whose records were not. */
  write(batch: PackedRecords): Promise<WorkerResponse> {
    return this.#ask(id => this.#worker.postMessage({ id, batch }, [batch.payload.buffer]));
  }

  /** Lets the worker finish what it was asked before, close its files and end. */
  async close(): Promise<void> {
    if (this.#dead) return;
    const ended = new Promise(resolve => this.#worker.once('exit', resolve));
    await this.call('close', []);
    await ended;
  }

  /** Ends a worker that could not open its files. */
  async terminate(): Promise<void> {
    await this.#worker.terminate();
  }

  #ask(post: (id: number) => void): Promise<WorkerResponse> {
    if (this.#dead) return Promise.reject(this.#dead);
    return new Promise((resolve, reject) => {
      const id = ++this.#id;
      post(id);
      this.#waiting.set(id, { resolve, reject });
    });
  }

  #settle(response: WorkerResponse): void {
    const waiting = this.#waiting.get(response.id);
    this.#waiting.delete(response.id);
    if (response.error) waiting?.reject(fromWireError(response.error));
    else waiting?.resolve(response);
    if (response.events) this.#onEvents(response.events);
  }

  #die(message: string, cause: unknown): DaemonError {
    this.#dead ??= new DaemonError('unavailable', message, cause === undefined ? {} : { cause });
    for (const { reject } of this.#waiting.values()) reject(this.#dead);
    this.#waiting.clear();
    return this.#dead;
  }
}

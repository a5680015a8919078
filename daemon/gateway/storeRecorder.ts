import type { CallEnd, CallStart } from '../records/callRecord.ts';
import type { Store } from '../store/store.ts';
import type { Recorder } from './recorder.ts';

/** Hands records straight to the store: the recorder of gateways that run in the daemon. */
export class StoreRecorder implements Recorder {
  readonly #store: Pick<Store, 'writeRecords'>;
  readonly #power: boolean;
  readonly #onError: (error: unknown) => void;

  constructor(store: Pick<Store, 'writeRecords'>, durability: 'process' | 'power', onError: (error: unknown) => void) {
    this.#store = store;
    this.#power = durability === 'power';
    this.#onError = onError;
  }

  start(start: CallStart, message: Uint8Array): Promise<void> | undefined {
    const written = this.#store.writeRecords([{ kind: 'start', start, message }]).catch(this.#onError);
    return this.#power ? written : undefined;
  }

  /** Committed before the result is passed on: what the client has seen, a killed daemon still knows. */
  end(end: CallEnd, message: Uint8Array | null): Promise<void> | undefined {
    return this.#store.writeRecords([{ kind: 'end', end, message }]).catch(this.#onError);
  }
}

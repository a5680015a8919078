import type { CallEnd, CallStart } from '../records/callRecord.ts';

/**
 * Where a gateway hands over what it saw. In the daemon it is the store with a journal, in a stdio process the socket with its
 * spool. `message` is shared with the transport that sends it: nobody changes it or gives its memory away. A failed recorder
 * never fails a call: it says so in the log and in its state.
 */
export interface Recorder {
  /** Returns once the start is handed over: at once (undefined), or, with durability `power`, when it is committed. */
  start(start: CallStart, message: Uint8Array): Promise<void> | undefined;
  /** Returns once the result may be passed on: undefined means now. */
  end(end: CallEnd, message: Uint8Array | null): Promise<void> | undefined;
}

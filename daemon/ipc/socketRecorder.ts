import { DaemonError } from '../../shared/errors.ts';
import type { Recorder } from '../gateway/recorder.ts';
import type { CallEnd, CallStart } from '../records/callRecord.ts';
import type { DaemonLink, LinkListener } from './daemonLink.ts';
import { encodeFrame } from './framing.ts';
import type { Log, Welcome } from './protocol.ts';
import { type Redact, redactFrame } from './redactFrame.ts';
import { type SpoolBlock, SpoolFile } from './spool.ts';

const GRACE_MS = 250;
const AFTER_GRACE_MS = 30;
const OFFLINE_BYTES = 16 * 1024 * 1024;
const ONLINE_BYTES = 160 * 1024 * 1024;
const SLICE_BYTES = 1024 * 1024;
const WINDOW_BYTES = 4 * 1024 * 1024;
const STALL_MS = 15_000;
const POWER_WAIT_MS = 5000;
/** A daemon that hangs is not waited for longer than this. */
const HAND_OVER_MS = 250;
const WAITED_BYTES = 16 * 1024;
const SPOOL_RETRY_MS = 1000;
const CLOSE_WAIT_MS = 1500;

export interface SocketRecorderOptions {
  readonly link: DaemonLink;
  readonly owner: string;
  readonly spoolDir: string;
  /** What holds until the daemon says what it does. */
  readonly durability: 'process' | 'power';
  /** Takes the secrets out of a JSON text; what is spooled goes through it first. */
  readonly redact: Redact;
  readonly log: Log;
}

interface Entry {
  readonly frame: readonly Buffer[];
  readonly bytes: number;
  /** Told when the record is safe: committed, or with `power` on the disk of the spool. */
  safe: (() => void) | null;
}

/**
 * Hands records to the daemon. A record is written to the socket before start() or end() returns, and kept until the daemon
 * has committed it; what is not acknowledged when the link breaks is sent again. Without a link records go, redacted, to the
 * spool within a moment, and from there to the daemon in order once it is back.
 */
export class SocketRecorder implements Recorder, LinkListener {
  readonly #options: SocketRecorderOptions;
  readonly #link: DaemonLink;
  readonly #spool: SpoolFile;
  #power: boolean;
  /** In order. While the spool is not empty these are newer than it, and none of them is sent. */
  #queue: Entry[] = [];
  #queueBytes = 0;
  /** Records of this link that were acknowledged. */
  #acknowledged = 0;
  /** Where the records that were sent from the spool end in it, oldest first. */
  #replaying: number[] = [];
  #readAt = 0;
  #offlineSince = performance.now();
  #spoolTimer: NodeJS.Timeout | null = null;
  #spoolDue = 0;
  #stallTimer: NodeJS.Timeout | null = null;
  #closing = false;
  #idle: (() => void) | null = null;
  #lost = 0;
  #spoolFailed = false;

  constructor(options: SocketRecorderOptions) {
    this.#options = options;
    this.#link = options.link;
    this.#spool = new SpoolFile(options.spoolDir, options.owner);
    this.#power = options.durability === 'power';
    this.#link.start(this);
  }

  /** What it holds: records in memory, whether there are some in the spool, and how many could be put nowhere. */
  get state(): {
    readonly connected: boolean;
    readonly queued: number;
    readonly spooled: boolean;
    readonly lost: number;
  } {
    return { connected: this.#link.open, queued: this.#queue.length, spooled: !this.#spool.empty, lost: this.#lost };
  }

  start(start: CallStart, message: Uint8Array): Promise<void> | undefined {
    return this.#hand({ t: 'start', start }, message, start.invocation_id);
  }

  end(end: CallEnd, message: Uint8Array | null): Promise<void> | undefined {
    return this.#hand({ t: 'end', end }, message, end.invocation_id);
  }

  /** Waits a moment for what is under way, spools the rest, and lets go of link and file. */
  async close(): Promise<void> {
    this.#closing = true;
    if (this.#link.open && !this.#isIdle()) {
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, CLOSE_WAIT_MS);
        this.#idle = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    if (this.#spoolTimer) clearTimeout(this.#spoolTimer);
    if (this.#stallTimer) clearTimeout(this.#stallTimer);
    while (this.#queue.length > 0) this.#spoolSlice();
    this.#spool.close();
    this.#link.close();
  }

  opened(welcome: Welcome): void {
    this.#power = welcome.durability === 'power';
    this.#acknowledged = 0;
    if (this.#spool.empty) this.#sendQueue();
    else this.#replay();
  }

  closed(): void {
    this.#offlineSince = performance.now();
    this.#replaying = [];
    this.#readAt = this.#spool.acked;
    if (this.#queue.length > 0) this.#spoolSoon();
  }

  acknowledged(records: number): void {
    const count = records - this.#acknowledged;
    if (count <= 0) return;
    this.#acknowledged = records;
    this.#rearmStall();
    if (this.#replaying.length > 0) {
      this.#spool.acked = this.#replaying[count - 1] ?? this.#spool.acked;
      this.#replaying.splice(0, count);
      this.#replay();
    } else {
      for (const entry of this.#queue.splice(0, count)) {
        this.#queueBytes -= entry.bytes;
        entry.safe?.();
      }
    }
    if (this.#isIdle()) this.#idle?.();
  }

  #isIdle(): boolean {
    return this.#queue.length === 0 && this.#spool.empty;
  }

  #hand(header: object, message: Uint8Array | null, invocation_id: string): Promise<void> | undefined {
    let entry: Entry;
    try {
      const frame = encodeFrame(JSON.stringify(header), message);
      entry = { frame, bytes: (frame[0]?.length ?? 0) + (frame[1]?.length ?? 0), safe: null };
    } catch (err) {
      this.#lost++;
      this.#options.log.error({ err, invocation_id }, 'a record is too large to be kept and is lost');
      return undefined;
    }
    this.#queue.push(entry);
    this.#queueBytes += entry.bytes;
    if (this.#link.open && this.#spool.empty) {
      this.#link.send(entry.frame);
      if (!this.#stallTimer) this.#rearmStall();
      if (this.#queueBytes > ONLINE_BYTES && this.#queue.length > 1)
        this.#link.drop(new DaemonError('unavailable', `the daemon is ${this.#queueBytes} bytes behind: spooling`));
    } else {
      this.#link.want();
      this.#spoolSoon();
    }
    return this.#power ? this.#untilSafe(entry, invocation_id) : this.#untilHandedOver(entry.bytes);
  }

  /** Where the daemon is slower than the calls, the kernel's buffer is full: a moment's wait, so that a kill loses nothing. */
  #untilHandedOver(bytes: number): Promise<void> | undefined {
    // a large record never fits at once, and a call must not wait for the daemon to read it
    if (bytes > WAITED_BYTES) return undefined;
    const handedOver = this.#link.handedOver();
    if (handedOver === null) return undefined;
    return new Promise(resolve => {
      const timer = setTimeout(resolve, HAND_OVER_MS);
      void handedOver.then(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #untilSafe(entry: Entry, invocation_id: string): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(() => {
        this.#options.log.warn(
          { invocation_id },
          `a record was not committed within ${POWER_WAIT_MS} ms; the call goes on`,
        );
        resolve();
      }, POWER_WAIT_MS);
      entry.safe = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #sendQueue(): void {
    for (const entry of this.#queue) this.#link.send(entry.frame);
    this.#rearmStall();
  }

  /** Sends on from the spool, a window at a time; when all of it is acknowledged it is removed, and the queue follows. */
  #replay(): void {
    this.#readAt = Math.max(this.#readAt, this.#spool.acked);
    while (!this.#spool.empty && this.#readAt - this.#spool.acked < WINDOW_BYTES) {
      const block = this.#readBlock();
      if (!block) break;
      for (const { frame, end } of block.frames) {
        this.#link.send([frame]);
        this.#replaying.push(end);
      }
      if (block.next === this.#readAt) break;
      this.#readAt = block.next;
      // Nothing of what was read can be sent, so nothing of it will be acknowledged.
      if (this.#replaying.length === 0) this.#spool.acked = this.#readAt;
    }
    if (this.#spool.empty) {
      this.#replaying = [];
      this.#removeSpool();
      this.#sendQueue();
    } else this.#rearmStall();
  }

  /** Null when the spool ends here; what is damaged in it is said and passed over. */
  #readBlock(): SpoolBlock | null {
    let fault: unknown = null;
    try {
      const block = this.#spool.read(this.#readAt);
      this.#lost += block.corrupt;
      if (block.corrupt > 0)
        this.#options.log.error({ corrupt: block.corrupt }, 'records in the spool are damaged and lost');
      if (!block.torn) return block;
    } catch (err) {
      fault = err;
    }
    this.#lost++;
    this.#options.log.error(
      { err: fault, offset: this.#readAt },
      'the spool can not be read to its end; its rest is lost',
    );
    this.#removeSpool();
    return null;
  }

  #removeSpool(): void {
    try {
      this.#spool.remove();
    } catch (err) {
      this.#options.log.error(
        { err },
        'the spool file can not be removed; the next daemon replays it, which does no harm',
      );
    }
    this.#readAt = 0;
  }

  #rearmStall(): void {
    if (this.#stallTimer) clearTimeout(this.#stallTimer);
    this.#stallTimer = null;
    if (!this.#link.open || this.#isIdle()) return;
    this.#stallTimer = setTimeout(() => {
      this.#stallTimer = null;
      if (!this.#isIdle())
        this.#link.drop(new DaemonError('timed_out', `the daemon took no record for ${STALL_MS} ms`));
    }, STALL_MS);
    this.#stallTimer.unref();
  }

  #spoolSoon(): void {
    const now = performance.now();
    const full = this.#queueBytes > OFFLINE_BYTES;
    const due = full || this.#power ? now : Math.max(now + AFTER_GRACE_MS, this.#offlineSince + GRACE_MS);
    if (this.#spoolTimer && this.#spoolDue <= due) return;
    if (this.#spoolTimer) clearTimeout(this.#spoolTimer);
    this.#spoolDue = due;
    this.#spoolTimer = setTimeout(() => this.#spoolQueue(), Math.max(0, due - now));
  }

  #spoolQueue(): void {
    this.#spoolTimer = null;
    if (this.#queue.length === 0 || (this.#link.open && this.#spool.empty)) return;
    const safe = this.#spoolSlice();
    if (safe.length > 0) void this.#tellWhenOnDisk(safe);
    if (this.#queue.length > 0) {
      this.#spoolDue = performance.now() + (this.#spoolFailed ? SPOOL_RETRY_MS : 1);
      this.#spoolTimer = setTimeout(() => this.#spoolQueue(), this.#spoolFailed ? SPOOL_RETRY_MS : 1);
    } else if (this.#link.open && this.#replaying.length === 0) this.#replay();
  }

  async #tellWhenOnDisk(safe: readonly (() => void)[]): Promise<void> {
    try {
      await this.#spool.sync();
      for (const told of safe) told();
    } catch (err) {
      this.#options.log.error({ err }, 'the spool could not be brought to the disk');
    }
  }

  /** Moves about 1 MB of the queue into the spool. Returns who wants to know when it is on the disk. */
  #spoolSlice(): (() => void)[] {
    const safe: (() => void)[] = [];
    let bytes = 0;
    let count = 0;
    for (const entry of this.#queue) {
      if (bytes > SLICE_BYTES) break;
      if (!this.#spoolOne(entry) && !this.#closing && this.#queueBytes - bytes <= OFFLINE_BYTES) break;
      if (this.#spoolFailed) this.#lost++;
      else if (entry.safe) safe.push(entry.safe);
      bytes += entry.bytes;
      count++;
    }
    for (const entry of this.#queue.splice(0, count)) this.#queueBytes -= entry.bytes;
    return safe;
  }

  #spoolOne(entry: Entry): boolean {
    try {
      this.#spool.append(redactFrame(entry.frame, this.#options.redact));
      this.#spoolFailed = false;
      return true;
    } catch (err) {
      if (!this.#spoolFailed)
        this.#options.log.error(
          { err },
          `the spool can not be written; ${OFFLINE_BYTES} bytes of records wait in memory`,
        );
      this.#spoolFailed = true;
      return false;
    }
  }
}

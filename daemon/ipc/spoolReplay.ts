import {
  closeSync,
  constants,
  type Dirent,
  fstatSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  unlinkSync,
} from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { DaemonError } from '../../shared/errors.ts';
import type { CallRecord } from '../records/callRecord.ts';
import type { Store } from '../store/store.ts';
import { decodeFrame } from './framing.ts';
import { ownerAlive, ownerPid } from './owner.ts';
import { type Log, parseClientHeader, toCallRecord } from './protocol.ts';
import { readSpool, SPOOL_MAGIC, SPOOL_SUFFIX } from './spool.ts';

const BATCH_BYTES = 1024 * 1024;
const STALE_MS = 10 * 60_000;

export interface Replay {
  /** Files that were read to their end, of them removed. */
  files: number;
  removed: number;
  records: number;
  /** Records that could not be read. */
  corrupt: number;
  /** Files whose last record was cut off. */
  torn: number;
  /** Files that were no spool and are now named .bad. */
  bad: number;
  /** Files that wait for the next time because the store or the disk failed. */
  failed: number;
}

export interface ReplayOptions {
  /** Owners on the record socket: they send what they spooled themselves, in order. */
  readonly aliveOwners: readonly string[];
  readonly log: Log;
}

/**
 * Writes what stdio processes spooled into the store, and ends the running calls of those that are gone. A file is removed when its owner
 * is gone and all of it is committed; an owner that lives is left alone, it is about to connect. What fails is logged and left
 * for the next time: replaying a record again changes nothing.
 */
export async function replaySpool(
  dir: string,
  store: Pick<Store, 'writeRecords' | 'interruptRunning'>,
  options: ReplayOptions,
): Promise<Replay> {
  const total: Replay = { files: 0, removed: 0, records: 0, corrupt: 0, torn: 0, bad: 0, failed: 0 };
  for (const entry of spoolEntries(dir, options.log)) {
    const owner = entry.name.slice(0, -SPOOL_SUFFIX.length);
    if (options.aliveOwners.includes(owner)) continue;
    try {
      await replayEntry(join(dir, entry.name), ownerPid(owner) !== null && entry.isFile() ? owner : null);
    } catch (err) {
      if (isMissing(err)) continue;
      total.failed++;
      options.log.error({ err, owner }, 'a spool file could not be replayed; its records wait');
    }
  }
  return total;

  async function replayEntry(path: string, owner: string | null): Promise<void> {
    const file = owner === null ? null : openSync(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
    try {
      if (owner === null || file === null || !beginsLikeSpool(file)) {
        setAside(path);
        total.bad++;
        return;
      }
      // Another owner with this process's id is gone: in a container each daemon may have the same one.
      const lives = ownerPid(owner) !== process.pid && ownerAlive(owner);
      if (lives && Date.now() - fstatSync(file).mtimeMs < STALE_MS) return;
      const found = await replayFile(file, store, options.log);
      await store.interruptRunning({ owner });
      total.files++;
      total.records += found.records;
      total.corrupt += found.corrupt;
      if (found.torn) total.torn++;
      options.log.info({ owner, ...found }, 'spooled records were replayed');
      if (fstatSync(file).size > found.size) return;
      if (found.corrupt > 0) setAside(path);
      else unlinkSync(path);
      total.removed++;
    } finally {
      if (file !== null) closeSync(file);
    }
  }

  function setAside(path: string): void {
    renameSync(path, `${path}.bad`);
    options.log.warn({ path: `${path}.bad` }, 'a file in the spool is damaged or none of ours; it was set aside');
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

function spoolEntries(dir: string, log: Log): Dirent[] {
  try {
    return readdirSync(dir, { withFileTypes: true }).filter(entry => entry.name.endsWith(SPOOL_SUFFIX));
  } catch (err) {
    if (!isMissing(err)) log.error({ err, dir }, 'the spool can not be read; its records wait');
    return [];
  }
}

/** A file that was cut off in its first bytes is a spool without records. */
function beginsLikeSpool(file: number): boolean {
  const head = Buffer.alloc(SPOOL_MAGIC.length);
  const read = readSync(file, head, 0, head.length, 0);
  return head.subarray(0, read).equals(SPOOL_MAGIC.subarray(0, read));
}

/** `size` is how much there was to read; what was appended since is for the next time. */
async function replayFile(file: number, store: Pick<Store, 'writeRecords'>, log: Log) {
  const { size } = fstatSync(file);
  const found = { size, records: 0, corrupt: 0, torn: false };
  let batch: CallRecord[] = [];
  let bytes = 0;
  const commit = async () => {
    if (batch.length > 0) await writeBatch(batch, store, log);
    found.records += batch.length;
    batch = [];
    bytes = 0;
  };
  for (let at = SPOOL_MAGIC.length; at < size && !found.torn; ) {
    const block = readSpool(file, at);
    found.corrupt += block.corrupt;
    found.torn = block.torn;
    for (const { frame } of block.frames) {
      if (bytes > 0 && bytes + frame.length > BATCH_BYTES) await commit();
      const record = readRecord(frame, log);
      if (record) batch.push(record);
      else found.corrupt++;
      bytes += frame.length;
    }
    at = block.next;
    await nextTurn();
  }
  await commit();
  return found;
}

/** One record that the store refuses for good must not keep back the others of its file. */
async function writeBatch(batch: CallRecord[], store: Pick<Store, 'writeRecords'>, log: Log): Promise<void> {
  const forGood = (err: unknown) =>
    err instanceof DaemonError && (err.code === 'invalid_input' || err.code === 'too_large');
  try {
    await store.writeRecords(batch);
  } catch (err) {
    if (!forGood(err)) throw err;
    for (const record of batch)
      await store.writeRecords([record]).catch(err => {
        if (!forGood(err)) throw err;
        const { invocation_id } = record.kind === 'start' ? record.start : record.end;
        log.error({ err, invocation_id, kind: record.kind }, 'a spooled record can not be written and is lost');
      });
  }
}

function readRecord(frame: Buffer, log: Log): CallRecord | null {
  try {
    const { header, payload } = decodeFrame(frame);
    return toCallRecord(parseClientHeader(header), payload);
  } catch (err) {
    log.warn({ err }, 'a spooled record can not be read; it is passed over');
    return null;
  }
}

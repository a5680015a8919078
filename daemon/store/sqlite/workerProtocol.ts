import { DaemonError, type ErrorCode } from '../../../shared/errors.ts';
import type { CallEnd, CallRecord, CallStart } from '../../records/callRecord.ts';

/** What a store worker is started with. */
export interface WorkerSetup {
  readonly role: 'writer' | 'reader' | 'both';
  readonly file: string;
  readonly nativeBinding: string | null;
  readonly blobDir: string | null;
  readonly durability: 'process' | 'power';
  readonly userId: string;
  /** Present in tests that set the clock: milliseconds since the epoch, shared with the thread that sets it. */
  readonly clock: Float64Array | null;
}

/** A question to a worker: a method of its table with its arguments, or a batch of records. */
export type WorkerRequest =
  | { readonly id: number; readonly method: string; readonly args: readonly unknown[] }
  | { readonly id: number; readonly batch: PackedRecords };

/** The answer: JSON text of the value, or an error; with it the events committed meanwhile, as a JSON list. */
export interface WorkerResponse {
  readonly id: number;
  readonly value?: string;
  readonly error?: WireError;
  /** Of a batch: the groups that were not written. */
  readonly failed?: readonly { readonly group: number; readonly error: WireError }[];
  readonly events?: string | null;
  /** Without a question: something that goes on behind the answers went wrong. */
  readonly fault?: WireError;
}

export interface WireError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly stack: string | undefined;
}

/** Records of several callers in two values, which cost far less to pass to a thread than an object each. */
export interface PackedRecords {
  /** JSON: for each record its start or end, and the length of its message (-1: none). */
  readonly heads: string;
  readonly payload: Uint8Array<ArrayBuffer>;
  /** How many records each caller gave. */
  readonly groups: readonly number[];
}

type Head = [kind: 0, head: CallStart, bytes: number] | [kind: 1, head: CallEnd, bytes: number];

/** Packs the records, copying their messages: the caller may still be sending the same bytes on. */
export function packRecords(groups: readonly (readonly CallRecord[])[]): PackedRecords {
  let size = 0;
  for (const group of groups) for (const { message } of group) size += message?.length ?? 0;
  const payload = new Uint8Array(size);
  const heads: Head[] = [];
  let at = 0;
  for (const group of groups)
    for (const record of group) {
      const bytes = record.message?.length ?? -1;
      heads.push(record.kind === 'start' ? [0, record.start, bytes] : [1, record.end, bytes]);
      if (record.message === null) continue;
      payload.set(record.message, at);
      at += bytes;
    }
  return { heads: JSON.stringify(heads), payload, groups: groups.map(group => group.length) };
}

/** The records of each caller; their messages are views of the payload. */
export function unpackRecords({ heads, payload, groups }: PackedRecords): CallRecord[][] {
  // Written by packRecords in the same process.
  const packed = JSON.parse(heads) as Head[];
  const records: CallRecord[] = [];
  let at = 0;
  for (const [kind, head, bytes] of packed) {
    const message = bytes < 0 ? null : payload.subarray(at, at + bytes);
    at += Math.max(0, bytes);
    if (kind === 1) records.push({ kind: 'end', end: head, message });
    else records.push({ kind: 'start', start: head, message: message ?? new Uint8Array() });
  }
  let from = 0;
  return groups.map(count => {
    const group = records.slice(from, from + count);
    from += count;
    return group;
  });
}

const UNAVAILABLE: Readonly<Record<string, string>> = {
  SQLITE_FULL: 'the disk is full: free some space',
  SQLITE_IOERR: 'reading or writing the disk failed: see the system log',
  SQLITE_READONLY: 'it may not be written: see its owner and mode',
  SQLITE_CORRUPT: 'it is damaged: stop sessiond and restore a backup, or rebuild it',
  SQLITE_NOTADB: 'it is no database: stop sessiond and move it away',
  SQLITE_CANTOPEN: 'it can not be opened: see its owner and mode',
  SQLITE_BUSY: 'another program holds it: close that program',
  ENOSPC: 'the disk is full: free some space',
};

/** What crosses the thread: an error of the database or the disk says in plain words what to do. */
export function toWireError(error: unknown, file: string): WireError {
  if (!(error instanceof Error)) return { code: 'internal', message: String(error), stack: undefined };
  const { message, stack } = error;
  if (error instanceof DaemonError) return { code: error.code, message, stack };
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  const known = Object.entries(UNAVAILABLE).find(([prefix]) => code.startsWith(prefix));
  if (known) return { code: 'unavailable', message: `${file}: ${known[1]} (${code}: ${message})`, stack };
  if ('syscall' in error) return { code: 'unavailable', message: `the disk: ${message}`, stack };
  // A value that SQLite can't bind, or no date: the input is at fault, and trying again is of no use.
  if (error instanceof TypeError || error instanceof RangeError)
    return { code: 'invalid_input', message: `this can't be stored: ${message}`, stack };
  return { code: 'internal', message, stack };
}

/** The error as it was thrown; its cause has the stack of the worker. */
export function fromWireError({ code, message, stack }: WireError): DaemonError {
  return new DaemonError(code, message, stack === undefined ? {} : { cause: stack });
}

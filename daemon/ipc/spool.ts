import {
  closeSync,
  constants,
  fdatasync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readSync,
  unlinkSync,
  writevSync,
} from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { DaemonError } from '../../shared/errors.ts';
import { MAX_FRAME_BYTES } from './framing.ts';

/** How the name of a spool file ends; before it stands the owner. */
export const SPOOL_SUFFIX = '.spool';
/** The first bytes of a spool file. A record follows as `u32be length | u32be CRC32 | frame`, to the end of the file. */
export const SPOOL_MAGIC = Buffer.from('SSPOOL1\n');
const HEAD_BYTES = 8;
const BLOCK_BYTES = 256 * 1024;

/** What was read of a spool file from an offset on. */
export interface SpoolBlock {
  readonly frames: readonly { readonly frame: Buffer; readonly end: number }[];
  /** Where to read on. */
  readonly next: number;
  /** Records whose checksum did not fit; they are passed over. */
  readonly corrupt: number;
  /** The rest from `next` on is no whole record: cut off while it was written, or damaged. */
  readonly torn: boolean;
}

/** Reads whole records from `offset`, about 256 KiB of them or a single larger one; none when the end is reached. */
export function readSpool(file: number, offset: number): SpoolBlock {
  const { size } = fstatSync(file);
  let block = readAt(file, offset, Math.min(BLOCK_BYTES, size - offset));
  const needed = block.length < HEAD_BYTES ? 0 : HEAD_BYTES + block.readUInt32BE(0);
  if (needed > block.length && needed <= HEAD_BYTES + MAX_FRAME_BYTES && offset + needed <= size)
    block = readAt(file, offset, needed);
  const frames: { frame: Buffer; end: number }[] = [];
  let corrupt = 0;
  let at = 0;
  while (at + HEAD_BYTES <= block.length) {
    const end = at + HEAD_BYTES + block.readUInt32BE(at);
    if (end > block.length) break;
    const frame = block.subarray(at + HEAD_BYTES, end);
    if (crc32(frame) === block.readUInt32BE(at + 4)) frames.push({ frame, end: offset + end });
    else corrupt++;
    at = end;
  }
  return { frames, next: offset + at, corrupt, torn: at === 0 && offset < size };
}

/** The records of one owner that the daemon has not got yet, in a file of its own (0600, in order, each whole or not at all). */
export class SpoolFile {
  /** Up to where the daemon has acknowledged. */
  acked: number = SPOOL_MAGIC.length;
  readonly #dir: string;
  readonly #path: string;
  #file: number | null = null;
  #size = 0;

  constructor(dir: string, owner: string) {
    this.#dir = dir;
    this.#path = join(dir, owner + SPOOL_SUFFIX);
  }

  /** True when every record was acknowledged, or none was ever written. */
  get empty(): boolean {
    return this.#file === null || this.acked >= this.#size;
  }

  /** Appends one record; throws and leaves the file as it was when it can't be written. */
  append(frame: readonly Buffer[]): void {
    // A daemon that took this process for gone may have replayed the file and removed it.
    if (this.#file !== null && fstatSync(this.#file).nlink === 0) this.remove();
    this.#file ??= this.#create();
    let length = 0;
    let sum = 0;
    for (const part of frame) {
      length += part.length;
      sum = crc32(part, sum);
    }
    const head = Buffer.allocUnsafe(HEAD_BYTES);
    head.writeUInt32BE(length, 0);
    head.writeUInt32BE(sum, 4);
    this.#write([head, ...frame], HEAD_BYTES + length);
  }

  /** Reads on from `offset`. */
  read(offset: number): SpoolBlock {
    if (this.#file === null) return { frames: [], next: offset, corrupt: 0, torn: false };
    return readSpool(this.#file, offset);
  }

  /** Resolves when what was appended before is on the disk, not only in the cache of the system. */
  async sync(): Promise<void> {
    const file = this.#file;
    if (file === null) return;
    await new Promise<void>((resolve, reject) => fdatasync(file, error => (error ? reject(error) : resolve())));
  }

  /** Forgets what it holds and keeps the file open for more. */
  clear(): void {
    if (this.#file === null || this.#size === SPOOL_MAGIC.length) return;
    ftruncateSync(this.#file, SPOOL_MAGIC.length);
    this.#size = SPOOL_MAGIC.length;
    this.acked = SPOOL_MAGIC.length;
  }

  /** Removes the file. */
  remove(): void {
    if (this.#file === null) return;
    this.close();
    this.#size = 0;
    this.acked = SPOOL_MAGIC.length;
    try {
      unlinkSync(this.#path);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
    }
  }

  /** Lets go of the file and leaves it to the next daemon. */
  close(): void {
    if (this.#file !== null) closeSync(this.#file);
    this.#file = null;
  }

  #create(): number {
    mkdirSync(this.#dir, { recursive: true, mode: 0o700 });
    const { O_CREAT, O_TRUNC, O_RDWR, O_APPEND, O_NOFOLLOW } = constants;
    // A file that could not be removed was acknowledged to its end.
    const file = openSync(this.#path, O_CREAT | O_TRUNC | O_RDWR | O_APPEND | (O_NOFOLLOW ?? 0), 0o600);
    this.#size = 0;
    this.acked = SPOOL_MAGIC.length;
    this.#file = file;
    this.#write([SPOOL_MAGIC], SPOOL_MAGIC.length);
    return file;
  }

  #write(parts: Buffer[], length: number): void {
    const file = this.#file;
    if (file === null) throw new DaemonError('internal', `spool file ${this.#path} is closed`);
    try {
      const written = writevSync(file, parts);
      if (written !== length)
        throw new DaemonError(
          'unavailable',
          `only ${written} of ${length} bytes went into ${this.#path}: free some disk space`,
        );
    } catch (error) {
      ftruncateSync(file, this.#size);
      throw error;
    }
    this.#size += length;
  }
}

function readAt(file: number, offset: number, length: number): Buffer {
  const block = Buffer.allocUnsafe(Math.max(0, length));
  let filled = 0;
  while (filled < block.length) {
    const read = readSync(file, block, filled, block.length - filled, offset + filled);
    if (read === 0) break;
    filled += read;
  }
  return block.subarray(0, filled);
}

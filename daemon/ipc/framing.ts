import type { Writable } from 'node:stream';
import { DaemonError } from '../../shared/errors.ts';

/** Longest frame that is read or written: the gateway's own message limit with room for the header. */
export const MAX_FRAME_BYTES = 80 * 1024 * 1024;
const ONE_BUFFER_BYTES = 16 * 1024;

/** One frame as read: `u32be length of the rest | u32be header length | header JSON | payload`. */
export interface Frame {
  readonly header: string;
  /** A view into what was read; empty when the frame has no payload. */
  readonly payload: Buffer;
}

/** The buffers of one frame, to be written in order: one when it is small, else the payload is not copied. */
export function encodeFrame(header: string, payload: Uint8Array | null): Buffer[] {
  const headerBytes = Buffer.byteLength(header);
  const payloadBytes = payload?.length ?? 0;
  const rest = 4 + headerBytes + payloadBytes;
  if (rest > MAX_FRAME_BYTES)
    throw new DaemonError('too_large', `a frame of ${rest} bytes is over the limit of ${MAX_FRAME_BYTES}: send less`);
  const whole = rest <= ONE_BUFFER_BYTES;
  const first = Buffer.allocUnsafe(8 + headerBytes + (whole ? payloadBytes : 0));
  first.writeUInt32BE(rest, 0);
  first.writeUInt32BE(headerBytes, 4);
  first.write(header, 8, 'utf8');
  if (!payload || payloadBytes === 0) return [first];
  if (whole) {
    first.set(payload, 8 + headerBytes);
    return [first];
  }
  return [first, Buffer.from(payload.buffer, payload.byteOffset, payloadBytes)];
}

/** Writes the buffers of one frame with as few system calls as there can be. */
export function writeFrame(stream: Writable, buffers: readonly Buffer[]): void {
  if (buffers.length > 1) stream.cork();
  for (const buffer of buffers) stream.write(buffer);
  if (buffers.length > 1) stream.uncork();
}

/** Takes one whole frame apart; throws `invalid_input` when its lengths do not fit. */
export function decodeFrame(frame: Buffer): Frame {
  const headerEnd = frame.length < 8 ? -1 : 8 + frame.readUInt32BE(4);
  if (headerEnd < 8 || headerEnd > frame.length || frame.readUInt32BE(0) + 4 !== frame.length)
    throw new DaemonError('invalid_input', `a frame of ${frame.length} bytes has lengths that do not fit: close`);
  return { header: frame.toString('utf8', 8, headerEnd), payload: frame.subarray(headerEnd) };
}

/** Cuts a byte stream into frames; keeps a list of chunks, and joins them once a frame. */
export class FrameReader {
  /** Longest frame that is taken; a stream that announces a longer one is refused before it is gathered. */
  limit: number;
  #chunks: Buffer[] = [];
  #offset = 0;
  #size = 0;

  constructor(limit: number = MAX_FRAME_BYTES) {
    this.limit = limit;
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#size += chunk.length;
  }

  /** The next whole frame, or null; throws `invalid_input` or `too_large`, after which the stream is of no use. */
  next(): Frame | null {
    if (this.#size < 4) return null;
    const rest = this.#peekLength();
    if (rest > this.limit)
      throw new DaemonError('too_large', `a frame of ${rest} bytes is over the limit of ${this.limit}: close`);
    if (rest < 4) throw new DaemonError('invalid_input', `a frame of ${rest} bytes has no header: close`);
    if (this.#size < 4 + rest) return null;
    return decodeFrame(this.#take(4 + rest));
  }

  #peekLength(): number {
    const first = this.#chunks[0];
    if (first && first.length - this.#offset >= 4) return first.readUInt32BE(this.#offset);
    let length = 0;
    let seen = 0;
    for (const [index, chunk] of this.#chunks.entries()) {
      for (let at = index === 0 ? this.#offset : 0; at < chunk.length && seen < 4; at++, seen++)
        length = length * 256 + (chunk[at] ?? 0);
      if (seen === 4) break;
    }
    return length;
  }

  #take(count: number): Buffer {
    this.#size -= count;
    const first = this.#chunks[0];
    if (first && first.length - this.#offset >= count) {
      const start = this.#offset;
      this.#offset += count;
      if (this.#offset === first.length) {
        this.#chunks.shift();
        this.#offset = 0;
      }
      return first.subarray(start, start + count);
    }
    const joined = Buffer.allocUnsafe(count);
    let filled = 0;
    let used = 0;
    for (const chunk of this.#chunks) {
      const start = used === 0 ? this.#offset : 0;
      const taken = Math.min(chunk.length - start, count - filled);
      chunk.copy(joined, filled, start, start + taken);
      filled += taken;
      this.#offset = start + taken;
      if (this.#offset < chunk.length) break;
      used++;
      this.#offset = 0;
      if (filled === count) break;
    }
    this.#chunks.splice(0, used);
    return joined;
  }
}

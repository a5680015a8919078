import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { DaemonError } from '../../shared/errors.ts';
import type { OwnTools } from '../gateway/ownTools.ts';
import { usable } from '../gateway/storeSource.ts';
import type { Store } from '../store/store.ts';
import { encodeFrame, type Frame, FrameReader, MAX_FRAME_BYTES, writeFrame } from './framing.ts';
import { proof, sameProof } from './proof.ts';
import {
  type Change,
  type ClientHeader,
  type Hello,
  IPC_PROTOCOL,
  type Log,
  parseClientHeader,
  type Question,
  type ServerHeader,
  toCallRecord,
} from './protocol.ts';
import type { RecordOrigin, RecordQueue } from './recordQueue.ts';

// Nobody waits for these records, and reading many at once costs a fraction of reading each as it comes; but what the
// kernel has no room for meanwhile is lost with its sender, so that the pause is short.
const GATHER_MS = 5;
const BUSY_CHUNK_BYTES = 32 * 1024;
const HANDSHAKE_MS = 5000;
const STRANGER_FRAME_BYTES = 64 * 1024;
const UNREAD_BYTES = 96 * 1024 * 1024;

/** What a peer needs of the daemon. */
export interface PeerContext {
  readonly token: string;
  readonly instance_id: string;
  readonly version: string;
  readonly durability: 'process' | 'power';
  readonly store: Pick<Store, 'resolveConversation' | 'useExplicit'>;
  readonly ownTools: OwnTools;
  readonly queue: RecordQueue;
  readonly log: Log;
  proven(peer: Peer, hello: Hello): void;
  gone(peer: Peer): void;
  /** `records` of this link are committed. */
  acknowledge(link: string, records: number): void;
}

/** The daemon's end of one connection of a stdio process. */
export class Peer implements RecordOrigin {
  /** What it said of itself; null until it has proved that it knows the token. */
  hello: Hello | null = null;
  readonly #socket: Socket;
  readonly #context: PeerContext;
  readonly #reader = new FrameReader(STRANGER_FRAME_BYTES);
  readonly #nonce = randomBytes(16).toString('hex');
  readonly #deadline: NodeJS.Timeout;
  #claimed: Hello | null = null;
  #reading: 'idle' | 'gathering' | 'draining' | 'held' = 'idle';
  #busy = false;
  #done = 0;

  /** `socket` must have a read-ahead of one byte: the kernel then keeps what comes while frames are gathered. */
  constructor(socket: Socket, context: PeerContext) {
    this.#socket = socket;
    this.#context = context;
    this.#deadline = setTimeout(() => this.#refuse('timed_out', 'no handshake came in time: try again'), HANDSHAKE_MS);
    socket.on('readable', () => this.#readable());
    socket.on('error', err =>
      context.log.info({ err, owner: this.hello?.owner }, 'the connection of a stdio process broke'),
    );
    socket.on('close', () => {
      clearTimeout(this.#deadline);
      context.gone(this);
    });
  }

  done(count: number): void {
    this.#done += count;
    if (this.hello) this.#context.acknowledge(this.hello.link, this.#done);
  }

  acknowledge(records: number): void {
    this.#send({ t: 'ack', records });
  }

  changed(change: Change): void {
    this.#send({ t: 'changed', change });
  }

  /** Says goodbye after what was acknowledged before, and closes. */
  end(): void {
    if (this.hello?.role === 'questions') this.#send({ t: 'bye' });
    this.#socket.end();
  }

  /** Closes at once. */
  destroy(): void {
    this.#socket.destroy();
  }

  // A small frame wakes the reader once; what follows within a few milliseconds waits in the kernel and comes with one read.
  #readable(): void {
    if (this.#reading === 'draining') this.#read();
    if (this.#reading !== 'idle') return;
    if (this.hello?.role !== 'records' || this.#context.durability === 'power') this.#drain();
    else {
      this.#reading = 'gathering';
      setTimeout(() => this.#drain(), GATHER_MS);
    }
  }

  #drain(): void {
    this.#reading = 'draining';
    this.#read();
    setImmediate(() => this.#drained());
  }

  #drained(): void {
    const { queue } = this.#context;
    queue.flush();
    if (this.#isHeld()) {
      this.#reading = 'held';
      queue.whenRoom(() => this.#drain());
    } else if (this.#busy) {
      this.#busy = false;
      setImmediate(() => this.#drained());
    } else this.#reading = 'idle';
  }

  /** Handshakes and questions are read even while the store is behind. */
  #isHeld(): boolean {
    return this.hello?.role === 'records' && this.#context.queue.full;
  }

  #read(): void {
    if (this.#isHeld()) return;
    try {
      for (;;) {
        const chunk: Buffer | null = this.#socket.read();
        if (!chunk) return;
        if (chunk.length >= BUSY_CHUNK_BYTES) this.#busy = true;
        this.#reader.push(chunk);
        for (let frame = this.#reader.next(); frame; frame = this.#reader.next()) this.#take(frame);
      }
    } catch (err) {
      this.#context.log.warn(
        { err, owner: this.hello?.owner },
        'a stdio process sent what can not be read; it is cut off',
      );
      this.#socket.destroy();
    }
  }

  #take(frame: Frame): void {
    const header = parseClientHeader(frame.header);
    const role = this.hello?.role;
    if (!role) {
      this.#handshake(header);
      return;
    }
    const record = role === 'records' ? toCallRecord(header, frame.payload) : null;
    if (record) this.#context.queue.add(record, frame.header.length + frame.payload.length + 64, this);
    else if (header.t === 'question' && role === 'questions')
      void this.#answer(header.id, header.question, frame.payload);
    else throw new DaemonError('invalid_input', `${header.t} does not belong on ${role}: close`);
  }

  #handshake(header: ClientHeader): void {
    const { token, instance_id, version, durability } = this.#context;
    const claimed = this.#claimed;
    if (header.t === 'hello' && !claimed) {
      this.#claimed = header;
      if (header.protocol !== IPC_PROTOCOL) {
        const wanted = `protocol ${header.protocol} is not spoken here, but ${IPC_PROTOCOL}: restart the assistant`;
        this.#refuse('unsupported', wanted);
        return;
      }
      const welcome = { t: 'welcome', protocol: IPC_PROTOCOL, instance_id, version, durability } as const;
      this.#send({ ...welcome, nonce: this.#nonce, proof: proof(token, header.nonce, instance_id) });
    } else if (header.t === 'prove' && claimed) {
      if (!sameProof(header.proof, proof(token, this.#nonce, claimed.owner))) {
        this.#refuse('unauthorized', 'the proof does not fit the token of this home: restart the assistant');
        return;
      }
      clearTimeout(this.#deadline);
      this.hello = claimed;
      this.#reader.limit = MAX_FRAME_BYTES;
      this.#context.proven(this, claimed);
    } else throw new DaemonError('unauthorized', `${header.t} came before the handshake: close`);
  }

  #refuse(code: 'unauthorized' | 'unsupported' | 'timed_out', message: string): void {
    this.#context.log.warn({ code, owner: this.#claimed?.owner }, `a stdio process was refused: ${message}`);
    this.#send({ t: 'refused', code, message });
    this.#socket.destroySoon();
  }

  async #answer(id: number, question: Question, payload: Buffer): Promise<void> {
    const { store, ownTools, log } = this.#context;
    try {
      if (question.ask === 'use_explicit') {
        const use = await store.useExplicit(question.session_id, question.context);
        this.#send({ t: 'answer', id, value: usable(use) });
      } else if (question.ask === 'resolve_conversation') {
        const { conversation, proposed, context } = question;
        const found = await store.resolveConversation(conversation, proposed, context);
        this.#send({ t: 'answer', id, value: { session_id: found.session_id, bound: found.bound } });
      } else this.#send({ t: 'answer', id, value: null }, await ownTools(payload, question.caller));
    } catch (err) {
      const known = err instanceof DaemonError;
      if (!known)
        log.error({ err, owner: this.hello?.owner, ask: question.ask }, 'a question of a stdio process failed');
      const message = err instanceof Error ? err.message : String(err);
      this.#send({ t: 'fault', id, code: known ? err.code : 'internal', message });
    }
  }

  #send(header: ServerHeader, payload: Uint8Array | null = null): void {
    if (!this.#socket.writable) return;
    writeFrame(this.#socket, encodeFrame(JSON.stringify(header), payload));
    if (this.#socket.writableLength <= UNREAD_BYTES) return;
    this.#context.log.warn({ owner: this.hello?.owner }, 'a stdio process reads no more; it is cut off');
    this.#socket.destroy();
  }
}

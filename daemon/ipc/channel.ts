import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { DaemonError } from '../../shared/errors.ts';
import { encodeFrame, type Frame, FrameReader, writeFrame } from './framing.ts';
import { proof, sameProof } from './proof.ts';
import {
  type ClientHeader,
  IPC_PROTOCOL,
  type LinkRole,
  parseServerHeader,
  type ServerHeader,
  type Welcome,
} from './protocol.ts';

const HANDSHAKE_MS = 3000;

export interface ChannelOptions {
  readonly socketPath: string;
  readonly token: string;
  readonly owner: string;
  readonly role: LinkRole;
  readonly link: string;
  /** Both sides know the token: from now on frames may be sent. */
  readonly onOpen: (welcome: Welcome) => void;
  readonly onFrame: (header: ServerHeader, payload: Buffer) => void;
  /** Called once, also when it never opened; null when the other side closed without a fault. */
  readonly onClosed: (fault: Error | null) => void;
}

const EMPTY = Buffer.alloc(0);

/** A stdio process's end of one connection to the daemon, which it trusts once it has proved that it knows the token. */
export class Channel {
  readonly #options: ChannelOptions;
  readonly #socket: Socket;
  readonly #reader = new FrameReader();
  readonly #nonce = randomBytes(16).toString('hex');
  readonly #deadline: NodeJS.Timeout;
  #open = false;
  #fault: Error | null = null;

  constructor(options: ChannelOptions) {
    this.#options = options;
    const { socketPath, owner, role, link } = options;
    this.#socket = connect(socketPath);
    this.#deadline = setTimeout(
      () => this.destroy(new DaemonError('timed_out', `nobody answered at ${socketPath} within ${HANDSHAKE_MS} ms`)),
      HANDSHAKE_MS,
    );
    this.#socket.on('connect', () =>
      this.#sendHeader({
        t: 'hello',
        protocol: IPC_PROTOCOL,
        owner,
        pid: process.pid,
        nonce: this.#nonce,
        role,
        link,
      }),
    );
    this.#socket.on('data', (chunk: Buffer) => this.#read(chunk));
    this.#socket.on('error', error => {
      this.#fault ??= error;
    });
    this.#socket.on('close', () => {
      clearTimeout(this.#deadline);
      options.onClosed(this.#fault);
    });
  }

  /** Bytes that the kernel has not taken yet. */
  get unsent(): number {
    return this.#socket.writableLength;
  }

  /** Hands the frame to the kernel before it returns, as far as the kernel takes it. */
  send(buffers: readonly Buffer[]): void {
    writeFrame(this.#socket, buffers);
  }

  /** Resolves when the kernel has all that was sent, or the connection is gone. */
  flushed(): Promise<void> {
    return new Promise(resolve => {
      this.#socket.write(EMPTY, () => resolve());
    });
  }

  destroy(fault: Error | null = null): void {
    this.#fault ??= fault;
    this.#socket.destroy();
  }

  #sendHeader(header: ClientHeader): void {
    this.send(encodeFrame(JSON.stringify(header), null));
  }

  #read(chunk: Buffer): void {
    try {
      this.#reader.push(chunk);
      for (let frame = this.#reader.next(); frame; frame = this.#reader.next()) this.#take(frame);
    } catch (error) {
      this.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #take(frame: Frame): void {
    const header = parseServerHeader(frame.header);
    if (header.t === 'refused') throw new DaemonError(header.code, `the daemon refused: ${header.message}`);
    if (this.#open) {
      this.#options.onFrame(header, frame.payload);
      return;
    }
    const { token, owner, socketPath } = this.#options;
    if (header.t !== 'welcome')
      throw new DaemonError('unauthorized', `${socketPath} sent ${header.t} before a welcome`);
    if (!sameProof(header.proof, proof(token, this.#nonce, header.instance_id)))
      throw new DaemonError('unauthorized', `what listens at ${socketPath} does not know the token of this home`);
    if (header.protocol !== IPC_PROTOCOL)
      throw new DaemonError('unsupported', `the daemon speaks protocol ${header.protocol}, not ${IPC_PROTOCOL}`);
    clearTimeout(this.#deadline);
    this.#sendHeader({ t: 'prove', proof: proof(token, header.nonce, owner) });
    this.#open = true;
    this.#options.onOpen(header);
  }
}

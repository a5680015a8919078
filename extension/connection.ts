import { setTimeout as pause } from 'node:timers/promises';
import * as vscode from 'vscode';
import { type Client, createClient } from '../shared/client.ts';
import { DaemonError } from '../shared/errors.ts';
import { findDaemon } from './discovery.ts';
import { startDaemon } from './startDaemon.ts';

/** `unreachable`: no daemon answers; it is looked for again and again, but only the user starts it anew. */
export type ConnectionState = 'connecting' | 'live' | 'unreachable';

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 5000;

/** The extension's one connection: finds the daemon of the home, starts it when there is none, and follows its events. */
export class DaemonConnection implements vscode.Disposable {
  readonly #home: string;
  readonly #script: string;
  readonly #log: vscode.LogOutputChannel;
  readonly #stop = new AbortController();
  readonly #stateChanged = new vscode.EventEmitter<ConnectionState>();
  readonly #changed = new vscode.EventEmitter<void>();
  #client: Client | null = null;
  #connecting: Promise<Client> | null = null;
  #following = false;
  #state: ConnectionState = 'connecting';

  /** Fires when the state becomes another one. */
  readonly onState = this.#stateChanged.event;
  /** Fires when what the daemon records has changed, and when that is not known. */
  readonly onChanged = this.#changed.event;

  constructor(options: { home: string; script: string; log: vscode.LogOutputChannel }) {
    this.#home = options.home;
    this.#script = options.script;
    this.#log = options.log;
  }

  /** A client of the running daemon; null while none is known. */
  get client(): Client | null {
    return this.#client;
  }

  /** A client of the running daemon, which is started when there is none. Rejects with a DaemonError. */
  connect(): Promise<Client> {
    if (this.#client !== null) return Promise.resolve(this.#client);
    this.#connecting ??= this.#findOrStart().finally(() => {
      this.#connecting = null;
    });
    return this.#connecting;
  }

  dispose(): void {
    this.#stop.abort();
    this.#stateChanged.dispose();
    this.#changed.dispose();
  }

  async #findOrStart(): Promise<Client> {
    try {
      let found = await findDaemon(this.#home);
      if (found === null) {
        this.#log.info(`No daemon answers in ${this.#home}: starting one`);
        await startDaemon(this.#script, this.#home);
        found = await findDaemon(this.#home);
      }
      if (found === null)
        throw new DaemonError('unavailable', `sessiond was started, but none answers in ${this.#home}`);
      const client = createClient(found);
      this.#client = client;
      void this.#follow(client);
      return client;
    } catch (error) {
      this.#setState('unreachable');
      throw error;
    }
  }

  /** Follows one daemon after another until disposed. */
  async #follow(first: Client): Promise<void> {
    if (this.#following) return;
    this.#following = true;
    let client: Client | null = first;
    let wait = FIRST_PAUSE_MS;
    while (!this.#stop.signal.aborted) {
      if (client !== null) {
        await this.#followOne(client);
        wait = FIRST_PAUSE_MS;
      }
      if (this.#stop.signal.aborted) return;
      this.#client = null;
      this.#setState('unreachable');
      await pause(wait, undefined, { signal: this.#stop.signal }).catch(() => {});
      wait = Math.min(wait * 2, LONGEST_PAUSE_MS);
      // The daemon that comes back may have another port; one that the user started through connect() counts as well.
      const found = this.#client === null ? await findDaemon(this.#home) : null;
      client = this.#client ?? (found === null ? null : createClient(found));
      this.#client = client;
    }
  }

  async #followOne(client: Client): Promise<void> {
    const stop = new AbortController();
    const signal = AbortSignal.any([stop.signal, this.#stop.signal]);
    try {
      const events = client.events({
        signal,
        onState: ({ state }) => {
          if (state === 'lost') return stop.abort();
          this.#setState('live');
          this.#changed.fire();
        },
      });
      for await (const event of events) {
        this.#log.trace(event.type);
        this.#changed.fire();
      }
    } catch (error) {
      if (!signal.aborted) this.#log.warn(`The daemon's events ended: ${String(error)}`);
    }
  }

  #setState(state: ConnectionState): void {
    if (this.#state === state || this.#stop.signal.aborted) return;
    this.#state = state;
    this.#log.info(`Daemon ${state}`);
    this.#stateChanged.fire(state);
  }
}

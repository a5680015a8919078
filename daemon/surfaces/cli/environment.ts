import type { Client } from '../../../shared/client.ts';
import type { Paint } from './text.ts';

/** Where the CLI writes: a stream, as much as it needs of one. */
export interface Out {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

/** What the CLI needs of the world around it. */
export interface CliEnvironment {
  /** Finds or starts the daemon; rejects with a DaemonError when there is none. */
  connect(): Promise<Client>;
  readonly stdout: Out;
  readonly stderr: Out;
  /** Working directory: `.` is meant from here. */
  readonly cwd: string;
  /** Environment variables. */
  readonly variables: NodeJS.ProcessEnv;
  readonly version: string;
  /** Aborted by Ctrl-C: ends what follows. */
  readonly signal: AbortSignal;
  /** Opens a URL in the user's browser; rejects when it can't. */
  openUrl(url: string): Promise<void>;
  now?(): number;
}

/** The environment with what is derived from it once a run. */
export interface Terminal extends CliEnvironment {
  readonly paint: Paint;
  /** Columns to fill, or null when nobody watches: then nothing is shortened. */
  readonly width: number | null;
  now(): number;
}

/** Writes a line to stdout. */
export function say(terminal: Terminal, line: string): void {
  terminal.stdout.write(`${line}\n`);
}

import { fileURLToPath } from 'node:url';

/** Where this copy of sessiond lies and what it is. */
export interface Installation {
  /** The folder of sessiond.js, with a slash at its end. */
  readonly dist: URL;
  readonly version: string;
}

/** The command that starts the daemon of this installation. */
export function serveCommand(installation: Installation): { file: string; args: string[]; env: NodeJS.ProcessEnv } {
  return { file: process.execPath, args: [scriptOf(installation), 'serve', '--background'], env: process.env };
}

/** The absolute path of sessiond.js. */
export function scriptOf(installation: Installation): string {
  return fileURLToPath(new URL('sessiond.js', installation.dist));
}

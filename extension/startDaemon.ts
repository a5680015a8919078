import { spawn } from 'node:child_process';
import { DaemonError } from '../shared/errors.ts';

const START_MS = 30_000;
const MOST_OUTPUT = 4000;

/** Runs `sessiond start` with VS Code's own Node; resolves once a daemon runs, rejects with what it said. */
export function startDaemon(script: string, home: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [script, 'start'], {
      env: { ...startEnvironment(process.env), SESSIOND_HOME: home, ELECTRON_RUN_AS_NODE: '1' },
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: START_MS,
      windowsHide: true,
    });
    let said = '';
    child.stderr.setEncoding('utf8');
    child.stderr.on('data', (text: string) => {
      said = (said + text).slice(-MOST_OUTPUT);
    });
    child.once('error', cause => {
      reject(new DaemonError('unavailable', `${process.execPath} could not be run: ${cause.message}`, { cause }));
    });
    child.once('exit', (code, signal) => {
      if (code === 0) return resolve();
      const why = said.trim() || `it ended with ${signal ?? `status ${code}`}`;
      reject(new DaemonError('unavailable', `sessiond did not start: ${why}`));
    });
  });
}

/** What the editor sets for itself (a debugger's NODE_OPTIONS, VSCODE_*) has no business in a daemon. */
function startEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(env).filter(([name]) => name !== 'NODE_OPTIONS' && !name.startsWith('VSCODE_')),
  );
}

import { HttpTransport } from './httpTransport.ts';
import type { Connect } from './link.ts';
import { type SpawnContext, StdioTransport } from './stdioTransport.ts';

/** Connects to upstreams of every kind; stdio upstreams run with this folder and environment. */
export function connectIn(
  context: Omit<SpawnContext, 'onStderr'>,
  onStderr: (server: string, chunk: Buffer) => void,
): Connect {
  // VS Code's Node runs us with a variable that would make any Electron program below act as Node too
  const { ELECTRON_RUN_AS_NODE: _ours, ...env } = context.env;
  return (spec, events) =>
    spec.transport === 'http'
      ? new HttpTransport(spec, events)
      : new StdioTransport(spec, { ...context, env, onStderr: chunk => onStderr(spec.name, chunk) }, events);
}

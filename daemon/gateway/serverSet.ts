import type { UpstreamSpec } from './upstreamSpec.ts';

/** The upstreams behind `/mcp` and `sessiond stdio`; in the daemon it changes live. */
export interface ServerSet {
  specs(): readonly UpstreamSpec[];
  /** Calls the listener after each change. */
  onChange(listener: () => void): () => void;
}

/** A set that stays as it is. */
export function fixedServers(specs: readonly UpstreamSpec[]): ServerSet {
  return { specs: () => specs, onChange: () => () => {} };
}

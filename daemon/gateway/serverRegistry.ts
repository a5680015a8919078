import type { Server, ServerConfig } from '../../shared/server.ts';
import type { Link } from './link.ts';
import type { ServerSet } from './serverSet.ts';
import {
  type HttpSpec,
  isHttpConfig,
  type StdioSpec,
  targetOf,
  type UpstreamSpec,
  upstreamSpec,
} from './upstreamSpec.ts';

interface Entry {
  readonly config: ServerConfig;
  readonly spec: UpstreamSpec | null;
  readonly fault: string | null;
  readonly links: Set<Link>;
  lastError: string | null;
  tools: number | null;
}

/** The upstreams of the daemon: what is configured, and how it is with each. */
export class ServerRegistry implements ServerSet {
  readonly #entries = new Map<string, Entry>();
  readonly #listeners = new Set<() => void>();

  specs(): readonly UpstreamSpec[] {
    return [...this.#entries.values()].flatMap(({ spec, fault }) => (spec === null || fault !== null ? [] : [spec]));
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The spec of one server, or null when there is no such server or it is disabled. */
  spec(name: string): UpstreamSpec | null {
    return this.#entries.get(name)?.spec ?? null;
  }

  /** Takes the servers of a configuration; `faults` are servers that could not be read, which stay visible as failed. */
  set(
    servers: Readonly<Record<string, ServerConfig>>,
    faults: readonly { readonly server: string; readonly message: string }[],
  ): void {
    this.#entries.clear();
    for (const [name, config] of Object.entries(servers)) this.#entries.set(name, entryOf(name, config, null));
    for (const { server, message } of faults) this.#entries.set(server, entryOf(server, { command: '' }, message));
    for (const listener of this.#listeners) listener();
  }

  add(name: string, config: ServerConfig): Server {
    const entry = entryOf(name, config, null);
    this.#entries.set(name, entry);
    for (const listener of this.#listeners) listener();
    return describe(name, entry);
  }

  remove(name: string): void {
    this.#entries.delete(name);
    for (const listener of this.#listeners) listener();
  }

  list(): Server[] {
    return [...this.#entries].map(([name, entry]) => describe(name, entry));
  }

  /** Keeps count of a link's state; called at each change of it. */
  observe(link: Link): void {
    const entry = this.#entries.get(link.spec.name);
    if (entry === undefined) return;
    if (link.state === 'idle') entry.links.delete(link);
    else entry.links.add(link);
    if (link.state === 'ready') entry.lastError = null;
    else if (link.lastError !== null) entry.lastError = link.lastError;
    if (link.tools.size > 0) entry.tools = link.tools.size;
  }
}

function entryOf(name: string, config: ServerConfig, fault: string | null): Entry {
  const spec = fault === null ? upstreamSpec(name, config) : null;
  return { config, spec, fault, links: new Set(), lastError: fault, tools: null };
}

function describe(name: string, entry: Entry): Server {
  const { config, spec, fault, links, lastError } = entry;
  const states = [...links].map(link => link.state);
  for (const link of links) if (link.tools.size > 0) entry.tools = link.tools.size;
  const state =
    fault !== null
      ? 'failed'
      : spec === null
        ? 'disabled'
        : states.includes('ready')
          ? 'ready'
          : states.includes('starting')
            ? 'starting'
            : states.includes('failed')
              ? 'failed'
              : 'idle';
  return {
    server: name,
    transport: isHttpConfig(config) ? 'http' : 'stdio',
    target: spec === null ? targetOfConfig(name, config) : targetOf(spec),
    state,
    connections: states.filter(each => each === 'ready').length,
    tools: entry.tools,
    error_message: state === 'ready' ? null : lastError,
  };
}

function targetOfConfig(name: string, config: ServerConfig): string {
  const enabled: StdioSpec | HttpSpec | null = upstreamSpec(name, { ...config, disabled: false });
  return enabled === null ? '' : targetOf(enabled);
}

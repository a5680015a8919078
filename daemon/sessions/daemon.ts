import type { Handlers } from '../invoke.ts';
import type { Store } from '../store/store.ts';

/** What the running daemon knows of itself. */
export interface DaemonInfo {
  readonly pid: number;
  readonly port: number;
  readonly version: string;
  readonly instance_id: string;
  readonly home: string;
  /** ISO 8601 UTC with milliseconds. */
  readonly started_at: string;
  readonly durability: 'process' | 'power';
  /** Connected MCP clients now. */
  clients(): number;
}

/** The handlers of the noun `daemon`. `info` is asked at each call: the port is known only once it listens. */
export function daemonHandlers(store: Pick<Store, 'counts'>, info: () => DaemonInfo): Pick<Handlers, 'daemon_status'> {
  return {
    daemon_status: async () => {
      const { pid, port, version, instance_id, home, started_at, durability, clients } = info();
      const counts = await store.counts();
      const memory_bytes = process.memoryUsage.rss();
      return {
        pid,
        port,
        version,
        instance_id,
        home,
        started_at,
        ...counts,
        clients: clients(),
        memory_bytes,
        durability,
      };
    },
  };
}

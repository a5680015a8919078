import type { Server, ServerConfig } from '../../shared/server.ts';
import type { Handlers } from '../invoke.ts';

type ServerHandlers = Pick<Handlers, Extract<keyof Handlers, `servers_${string}`>>;

/** The upstreams as the operations see them: the configuration together with what runs. */
export interface Servers {
  list(): Promise<Server[]>;
  /** Writes it to the configuration and takes it in use; rejects with `conflict` when the name is taken. */
  add(name: string, config: ServerConfig): Promise<Server>;
  /**
   * Ends its connections and takes it out of the configuration; resolves to what stood there, null when that was no valid
   * server. Rejects with `not_found`.
   */
  remove(name: string): Promise<ServerConfig | null>;
}

/** The handlers of the noun `servers`. */
export function serverHandlers(servers: Servers): ServerHandlers {
  return {
    servers_list: async () => ({ items: await servers.list() }),
    servers_add: ({ server, config }) => servers.add(server, config),
    servers_remove: async ({ server }) => ({ server, removed: true, config: await servers.remove(server) }),
  };
}

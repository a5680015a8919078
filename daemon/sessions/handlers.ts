import type { Handlers } from '../invoke.ts';
import type { Store } from '../store/store.ts';
import { type DaemonInfo, daemonHandlers } from './daemon.ts';
import { invocationHandlers } from './invocations.ts';
import { type Servers, serverHandlers } from './servers.ts';
import { sessionHandlers } from './sessions.ts';

/** A handler for every operation of the table; the compiler sees that none is missing. */
export function createHandlers(store: Store, servers: Servers, info: () => DaemonInfo): Handlers {
  return {
    ...sessionHandlers(store),
    ...invocationHandlers(store),
    ...serverHandlers(servers),
    ...daemonHandlers(store, info),
  };
}

import type { ServerConfig } from '../shared/server.ts';

/** config.json of the home, checked. */
export interface Config {
  readonly mcpServers: Readonly<Record<string, ServerConfig>>;
  /** 0 (the default) lets the system choose once; the choice is kept in the home. */
  readonly port: number;
  readonly durability: 'process' | 'power';
}

import { createHash } from 'node:crypto';
import type { HttpServerConfig, ServerConfig } from '../../shared/server.ts';
import type { InjectMode } from './injection.ts';

interface SpecBase {
  readonly name: string;
  readonly inject: InjectMode;
  /** Longest a call may run in ms, 0 without limit. */
  readonly timeoutMs: number;
  readonly startupTimeoutMs: number;
  /** Changes when the configuration does; names what is cached of this upstream. */
  readonly fingerprint: string;
}

export interface StdioSpec extends SpecBase {
  readonly transport: 'stdio';
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string | null;
}

export interface HttpSpec extends SpecBase {
  readonly transport: 'http';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** One MCP server behind the gateway, ready to be connected to. */
export type UpstreamSpec = StdioSpec | HttpSpec;

const STARTUP_TIMEOUT_MS = 30_000;

/** The upstream that a server of the configuration describes; null when it is disabled. */
export function upstreamSpec(name: string, config: ServerConfig): UpstreamSpec | null {
  if (config.disabled === true) return null;
  const base = {
    name,
    inject: config.inject ?? 'auto',
    timeoutMs: config.timeout_ms ?? 0,
    startupTimeoutMs: config.startup_timeout_ms ?? STARTUP_TIMEOUT_MS,
    fingerprint: createHash('sha256')
      .update(JSON.stringify([name, config]))
      .digest('hex')
      .slice(0, 16),
  };
  if (isHttpConfig(config)) {
    return { ...base, transport: 'http', url: config.url, headers: config.headers ?? {} };
  }
  return {
    ...base,
    transport: 'stdio',
    command: config.command,
    args: config.args ?? [],
    env: config.env ?? {},
    cwd: config.cwd ?? null,
  };
}

/** The exact command with its arguments, or the URL: what a person is shown of it. */
export function targetOf(spec: UpstreamSpec): string {
  return spec.transport === 'http' ? spec.url : [spec.command, ...spec.args].map(shellWord).join(' ');
}

function shellWord(word: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** Tells the two kinds of configuration apart. */
export function isHttpConfig(config: ServerConfig): config is HttpServerConfig {
  return !('command' in config);
}

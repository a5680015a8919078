import type { HttpServerConfig, ServerConfig, StdioServerConfig } from '../shared/server.ts';

type Fields = Readonly<Record<string, unknown>>;

const INJECT: ReadonlySet<unknown> = new Set(['auto', 'always', 'never']);
const HTTP_TYPES: ReadonlySet<unknown> = new Set([undefined, 'http', 'streamable-http', 'streamableHttp']);
const SERVER_NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$/;

/**
 * Says whether name and value are a server that configCheck.ts accepts, without zod, whose loading alone takes a third of
 * the time that a stdio process has to start. It never accepts more than the schema; what it doesn't accept, the schema
 * judges and explains.
 */
export function isPlainServer(name: string, value: unknown): value is ServerConfig {
  if (!SERVER_NAME.test(name) || name.includes('__') || !isFields(value)) return false;
  const { disabled, inject, timeout_ms, startup_timeout_ms } = value;
  return (
    (disabled === undefined || typeof disabled === 'boolean') &&
    (inject === undefined || INJECT.has(inject)) &&
    isDuration(timeout_ms) &&
    isDuration(startup_timeout_ms) &&
    (isStdio(value) || isHttp(value))
  );
}

function isStdio(value: Fields): value is StdioServerConfig {
  const { type, command, args, env, cwd } = value;
  return (
    (type === undefined || type === 'stdio') &&
    typeof command === 'string' &&
    command !== '' &&
    (args === undefined || (Array.isArray(args) && args.every(isText))) &&
    isTexts(env) &&
    (cwd === undefined || isText(cwd))
  );
}

function isHttp(value: Fields): value is HttpServerConfig {
  const { type, command, url, headers } = value;
  // `command` parts the two kinds, so a value with both is left to the schema.
  return command === undefined && HTTP_TYPES.has(type) && isText(url) && isHttpUrl(url) && isTexts(headers);
}

function isHttpUrl(text: string): boolean {
  return /^https?:\/\/[^\s/]/.test(text) && URL.canParse(text);
}

function isTexts(value: unknown): boolean {
  return (
    value === undefined ||
    (isFields(value) && Object.entries(value).every(([key, text]) => key !== '__proto__' && isText(text)))
  );
}

function isDuration(value: unknown): boolean {
  return value === undefined || (Number.isSafeInteger(value) && Number(value) > 0);
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

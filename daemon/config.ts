import { readFileSync } from 'node:fs';
import { findNodeAtLocation, type Node, type ParseError, parseTree, printParseErrorCode } from 'jsonc-parser';
import { DaemonError } from '../shared/errors.ts';
import type { ServerConfig } from '../shared/server.ts';

/** config.json of the home, checked. */
export interface Config {
  readonly mcpServers: Readonly<Record<string, ServerConfig>>;
  /** 0 (the default) lets the system choose once; the choice is kept in the home. */
  readonly port: number;
  readonly durability: 'process' | 'power';
}

/** A config.json that was read and parsed, its servers not yet checked. This file loads no zod: it is on the way of each start. */
export interface ConfigDocument {
  readonly path: string;
  /** Without a byte order mark; '' when there is no file. */
  readonly text: string;
  readonly servers: readonly ServerEntry[];
  readonly root: Node | undefined;
}

/** One member of `mcpServers`, or of `servers` as VS Code calls it. */
export interface ServerEntry {
  readonly section: ServerSection;
  readonly name: string;
  readonly value: unknown;
  readonly node: Node;
}

export type ServerSection = (typeof serverSections)[number];

/** The keys of config.json that hold servers; the first is the one that sessiond writes. */
export const serverSections = ['mcpServers', 'servers'] as const;

/** Reads config.json, comments and trailing commas allowed; no file is an empty one. Throws `config_invalid` with the place. */
export function readConfig(path: string): ConfigDocument {
  const text = readText(path);
  const empty: ConfigDocument = { path, text, servers: [], root: undefined };
  if (text.trim() === '') return empty;
  const errors: ParseError[] = [];
  const root = parseTree(text, errors, { allowTrailingComma: true, disallowComments: false, allowEmptyContent: true });
  const [error] = errors;
  if (error)
    throw fault(empty, error.offset, `${words(printParseErrorCode(error.error))}: mend it there or just before`);
  if (!root) return empty;
  if (root.type !== 'object')
    throw fault(empty, root.offset, `holds ${kind(root)}: make it an object, {"mcpServers": {}}`);
  const servers = serverSections.flatMap(section => {
    const node = findNodeAtLocation(root, [section]);
    if (!node) return [];
    if (node.type !== 'object')
      throw fault(empty, node.offset, `"${section}" is ${kind(node)}: make it an object of name and server`);
    return members(node).map(([name, value]) => ({ section, name, value: plain(value), node: value }));
  });
  return { path, text, servers, root };
}

/** The settings beside the servers. Throws `config_invalid`: a wrong port or durability must not quietly become another. */
export function settingsOf(document: ConfigDocument): Pick<Config, 'port' | 'durability'> {
  const at = (key: string) => (document.root ? findNodeAtLocation(document.root, [key]) : undefined);
  const [portNode, durabilityNode] = [at('port'), at('durability')];
  const port: unknown = portNode ? plain(portNode) : 0;
  if (typeof port !== 'number' || !Number.isInteger(port) || port < 0 || port > 65_535)
    throw fault(
      document,
      portNode?.offset ?? 0,
      `"port" is ${shown(portNode)}: use 0 to 65535, 0 lets the system choose`,
    );
  const durability: unknown = durabilityNode ? plain(durabilityNode) : 'process';
  if (durability !== 'process' && durability !== 'power')
    throw fault(
      document,
      durabilityNode?.offset ?? 0,
      `"durability" is ${shown(durabilityNode)}: use "process" or "power"`,
    );
  return { port, durability };
}

/** `file:line:column` of an offset in the document, as editors open it. */
export function placeOf(document: ConfigDocument, offset: number): string {
  const before = document.text.slice(0, offset);
  const line = before.split('\n').length;
  return `${document.path}:${line}:${offset - before.lastIndexOf('\n')}`;
}

function fault(document: ConfigDocument, offset: number, what: string): DaemonError {
  return new DaemonError('config_invalid', `${placeOf(document, offset)}: ${what}`);
}

function readText(path: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return '';
    throw new DaemonError(
      'config_invalid',
      `${path} can't be read: ${cause instanceof Error ? cause.message : cause}`,
      {
        cause,
      },
    );
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new DaemonError('config_invalid', `${path} is not UTF-8: save it as UTF-8`, { cause });
  }
}

function members(node: Node): [string, Node][] {
  return (node.children ?? []).flatMap(property => {
    const [key, value] = property.children ?? [];
    return key && value ? [[String(key.value), value]] : [];
  });
}

/** The value of a node. A member called `__proto__` is a member like any other, which jsonc-parser's own does not do. */
function plain(node: Node): unknown {
  if (node.type === 'array') return (node.children ?? []).map(plain);
  if (node.type === 'object') return Object.fromEntries(members(node).map(([key, value]) => [key, plain(value)]));
  return node.value;
}

function kind(node: Node): string {
  return node.type === 'null' ? 'null' : `${node.type === 'array' || node.type === 'object' ? 'an' : 'a'} ${node.type}`;
}

function shown(node: Node | undefined): string {
  return node === undefined ? 'missing' : JSON.stringify(plain(node)).slice(0, 80);
}

function words(code: string): string {
  return code.replace(/(?<=[a-z])[A-Z]/g, letter => ` ${letter.toLowerCase()}`).toLowerCase();
}

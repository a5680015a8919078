import { findNodeAtLocation, type Node } from 'jsonc-parser';
import { type ServerConfig, serverConfig, serverName } from '../shared/server.ts';
import { type Config, type ConfigDocument, placeOf, readConfig, type ServerEntry, settingsOf } from './config.ts';
import { describeIssues } from './inputFault.ts';

/** Why one server of config.json is not in use, with file, line, column, key and what to do. */
export interface ServerFault {
  readonly server: string;
  readonly message: string;
}

export interface LoadedConfig {
  readonly config: Config;
  readonly faults: readonly ServerFault[];
}

/**
 * Reads and checks config.json. A server with a fault is left out and told of; the others are not touched by it. Throws
 * `config_invalid` when the file is no JSON or a setting is wrong.
 */
export function loadConfig(path: string): LoadedConfig {
  const document = readConfig(path);
  const { mcpServers, faults } = checkServers(document);
  return { config: { mcpServers, ...settingsOf(document) }, faults };
}

/** The servers of a document: those that are right, and what is wrong with the others. The last of two with one name counts. */
export function checkServers(document: ConfigDocument): {
  mcpServers: Record<string, ServerConfig>;
  faults: ServerFault[];
} {
  const faults: ServerFault[] = [];
  // No prototype: a server may be called "constructor", and asking for one that is not there finds nothing.
  const mcpServers: Record<string, ServerConfig> = Object.create(null);
  const entries = new Map<string, ServerEntry>();
  for (const entry of document.servers) {
    const earlier = entries.get(entry.name);
    if (earlier) {
      const place = placeOf(document, earlier.node.offset);
      const message = `${place}: server ${JSON.stringify(entry.name)} is there twice and the later one is used: remove this one`;
      faults.push({ server: entry.name, message });
    }
    entries.set(entry.name, entry);
  }
  for (const { name, value, node } of entries.values()) {
    const fault = serverFault(name, value);
    if (fault === null) mcpServers[name] = serverConfig.parse(value);
    else {
      const place = placeOf(document, nodeAt(node, fault.path).offset);
      faults.push({ server: name, message: `${place}: server ${JSON.stringify(name)}: ${fault.what}` });
    }
  }
  return { mcpServers, faults };
}

/**
 * What is wrong with a server, in words and as the path to it; null when it is right. A `command` makes it a stdio server
 * whatever else it has, as the gateway sees it.
 */
export function serverFault(name: string, value: unknown): { path: readonly PropertyKey[]; what: string } | null {
  const named = serverName.safeParse(name);
  if (!named.success)
    return { path: [], what: `${named.error.issues[0]?.message ?? 'a wrong name'}; give it another name` };
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  const hasCommand = isObject && 'command' in value;
  if (isObject && !hasCommand && !('url' in value))
    return { path: [], what: 'has neither "command" nor "url": give it one' };
  const [stdio, http] = serverConfig.options;
  const issues = (hasCommand ? stdio : http).safeParse(value).error?.issues;
  return issues
    ? { path: issues[0]?.path ?? [], what: `${describeIssues(issues, value, [])}; mend or remove it` }
    : null;
}

/** The node at a path, or the nearest one above it when it is missing. */
function nodeAt(node: Node, path: readonly PropertyKey[]): Node {
  const known = path.filter(key => typeof key !== 'symbol');
  for (let length = known.length; length > 0; length--) {
    const found = findNodeAtLocation(node, known.slice(0, length));
    if (found) return found;
  }
  return node;
}

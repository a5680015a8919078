import { realpathSync } from 'node:fs';
import { createScanner, findNodeAtLocation, type Node } from 'jsonc-parser';
import { DaemonError } from '../shared/errors.ts';
import { type ServerConfig, serverConfig } from '../shared/server.ts';
import { readConfig, serverSections } from './config.ts';
import { serverFault } from './configCheck.ts';
import { writeWhole } from './lifecycle/wholeFile.ts';

/**
 * Puts a server into config.json; comments, order and all else stay. Throws `conflict` when the name is there already,
 * `invalid_input` for a name or a config that is wrong, `config_invalid` when the file is.
 */
export function addServer(path: string, name: string, config: ServerConfig): void {
  const fault = serverFault(name, config);
  if (fault !== null) throw new DaemonError('invalid_input', `server ${JSON.stringify(name)}: ${fault.what}`);
  const document = readConfig(path);
  if (document.servers.some(entry => entry.name === name))
    throw new DaemonError('conflict', `server ${name} is in ${path} already: remove it first, or take another name`);
  const { root, text } = document;
  const section = serverSections.find(key => root && findNodeAtLocation(root, [key]));
  const servers = root && section && findNodeAtLocation(root, [section]);
  const first = { [name]: config };
  const changed = servers
    ? withMember(text, servers, name, config)
    : root
      ? withMember(text, root, serverSections[0], first)
      : `${text}${JSON.stringify({ [serverSections[0]]: first }, null, 2)}\n`;
  writeWhole(target(path), changed);
}

/**
 * Takes a server out of config.json and returns what stood there, null when that was no right server. Throws `not_found`.
 */
export function removeServer(path: string, name: string): ServerConfig | null {
  const before = readConfig(path);
  const entry = before.servers.findLast(({ name: other }) => other === name);
  if (!entry) {
    const known = before.servers.map(({ name: other }) => other).join(', ') || 'none';
    throw new DaemonError('not_found', `server ${JSON.stringify(name)} is not in ${path}; there are: ${known}`);
  }
  let document = before;
  // One that is there twice goes twice, or the other would take its place.
  for (let left: typeof entry | undefined = entry; left; ) {
    writeWhole(target(path), withoutMember(document.text, left.node));
    document = readConfig(path);
    left = document.servers.find(({ name: other }) => other === name);
  }
  return serverFault(name, entry.value) === null ? serverConfig.parse(entry.value) : null;
}

/**
 * The text with a member more at the end of an object. jsonc-parser's own `modify` formats the neighbour anew and puts the
 * member before a comment that belongs to the neighbour.
 */
function withMember(text: string, object: Node, key: string, value: unknown): string {
  const close = object.offset + object.length - 1;
  const last = object.children?.at(-1);
  const unit = /\n([ \t]+)\S/.exec(text)?.[1] ?? '  ';
  const outer = indentAt(text, close);
  const indent = outer + unit;
  const eol = text.includes('\r\n') ? '\r\n' : '\n';
  const lines = `${JSON.stringify(key)}: ${JSON.stringify(value, null, unit)}`.split('\n').map(line => indent + line);
  const end = last ? last.offset + last.length : object.offset + 1;
  const comma = last && commaAfter(text, end) === null ? ',' : '';
  const behind = text.slice(end, close).trimEnd();
  return `${text.slice(0, end)}${comma}${behind}${eol}${lines.join(eol)}${eol}${outer}${text.slice(close)}`;
}

/** The white space that the line of an offset begins with. */
function indentAt(text: string, offset: number): string {
  const begin = text.lastIndexOf('\n', offset - 1) + 1;
  return /^[ \t]*/.exec(text.slice(begin, offset))?.[0] ?? '';
}

/** The text without the member of an object whose value is `value`; comments around it stay, an empty line does not. */
function withoutMember(text: string, value: Node): string {
  const member = value.parent;
  const members = member?.parent?.children ?? [];
  if (!member) return text;
  const previous = members[members.indexOf(member) - 1];
  const end = member.offset + member.length;
  const after = commaAfter(text, end);
  const before = previous && after === null ? commaAfter(text, previous.offset + previous.length) : null;
  const comma = after ?? before;
  const head = text.slice(0, member.offset);
  const tail = text.slice(end);
  const shorter = [
    comma !== null && comma < end ? head.slice(0, comma) + head.slice(comma + 1) : head,
    comma !== null && comma >= end ? tail.slice(0, comma - end) + tail.slice(comma - end + 1) : tail,
  ] as const;
  const alone = /\n[ \t]*$/.test(shorter[0]) && /^[ \t]*(\r?\n|$)/.test(shorter[1]);
  return (alone ? shorter[0].replace(/\r?\n[ \t]*$/, '') : shorter[0]) + shorter[1];
}

/** Where the comma behind a value is, comments aside; null when there is none. */
function commaAfter(text: string, end: number): number | null {
  const scanner = createScanner(text.slice(end), true);
  scanner.scan();
  const at = end + scanner.getTokenOffset();
  return text[at] === ',' ? at : null;
}

/** People keep a config elsewhere and link to it: the file itself is written, the link stays. */
function target(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return path;
    throw error;
  }
}

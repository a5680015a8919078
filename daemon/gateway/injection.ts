import { Edits } from './edits.ts';
import { isObject, type Member, membersOf, startOf } from './jsonSpans.ts';
import { isRecord } from './message.ts';

export type InjectMode = 'auto' | 'always' | 'never';

const SESSION_PROPERTY =
  '"session_id":{"type":"string","description":"Session this call belongs to. Leave out unless you were given one."}';

/** What the gateway has to know of one tool of an upstream. */
export interface ToolEntry {
  readonly name: string;
  /** The tool's definition as the upstream wrote it. */
  readonly raw: Buffer;
  /** It has a `session_id` of its own, which is passed on untouched. */
  readonly ownsSession: boolean;
  /** It can take an injected `session_id`: the schema is a plain object schema. */
  readonly injectable: boolean;
}

/** Reads one item of a tools/list result; null when it is no tool. */
export function toolEntry(raw: Buffer): ToolEntry | null {
  const tool: unknown = JSON.parse(raw.toString('utf8'));
  if (!isRecord(tool) || typeof tool.name !== 'string') return null;
  const schema = tool.inputSchema;
  const properties = isRecord(schema) ? schema.properties : undefined;
  const ownsSession = isRecord(properties) && Object.hasOwn(properties, 'session_id');
  const injectable =
    isRecord(schema) &&
    (properties === undefined ? schema.type === 'object' && !('$ref' in schema) : isRecord(properties));
  return { name: tool.name, raw, ownsSession, injectable };
}

/** Whether the client sees an optional `session_id` in this tool's schema. */
export function isInjected(tool: ToolEntry, mode: InjectMode): boolean {
  return mode !== 'never' && !tool.ownsSession && tool.injectable;
}

/** The definition as the client sees it: under `name`, with an optional `session_id` where `inject` says so. */
export function exposeTool(tool: ToolEntry, name: string, inject: InjectMode): Buffer {
  const renamed = name !== tool.name;
  const injected = isInjected(tool, inject);
  if (!renamed && !injected) return tool.raw;
  const { raw } = tool;
  const edits = new Edits(raw);
  const members = membersOf(raw, startOf(raw));
  if (renamed) {
    for (const member of members)
      if (member.key === 'name') edits.replace(member.value, member.end, JSON.stringify(name));
  }
  const schema = members.findLast(member => member.key === 'inputSchema');
  if (injected && schema !== undefined) injectInto(edits, schema);
  return edits.apply();
}

function injectInto(edits: Edits, schema: Member): void {
  const { source } = edits;
  const members = membersOf(source, schema.value);
  const properties = members.findLast(member => member.key === 'properties');
  if (properties === undefined) edits.append(members, schema.value, `"properties":{${SESSION_PROPERTY}}`);
  else if (isObject(source, properties.value)) {
    edits.append(membersOf(source, properties.value), properties.value, SESSION_PROPERTY);
  }
}

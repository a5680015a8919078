import { Edits } from './edits.ts';
import { membersOf, startOf } from './jsonSpans.ts';
import type { Link } from './link.ts';
import { isRecord } from './message.ts';
import type { UpstreamSpec } from './upstreamSpec.ts';

/** What stands before a server's own names: only characters that every client takes. */
export function exposedName(spec: UpstreamSpec, name: string): string {
  return `${spec.name.replace(/[^A-Za-z0-9_-]/g, '_')}__${name}`;
}

export function ownerPrefix(link: Link): string {
  return exposedName(link.spec, '');
}

const kinds = {
  'prompts/list': { key: 'prompts', capability: 'prompts' },
  'resources/list': { key: 'resources', capability: 'resources' },
  'resources/templates/list': { key: 'resourceTemplates', capability: 'resources' },
} as const;

/** Lists of prompts and resources over all upstreams, each drained, and whose a resource is. */
export class MergedLists {
  readonly #links: () => readonly Link[];
  readonly #owners = new Map<string, Link>();
  readonly #templates = new Map<string, Link>();

  constructor(links: () => readonly Link[]) {
    this.#links = links;
  }

  /** The items of every upstream that has such a list; one that can't be reached adds none. */
  async list(method: keyof typeof kinds): Promise<{ key: string; items: Buffer[] }> {
    const { key, capability } = kinds[method];
    const lists = await Promise.all(this.#links().map(link => this.#of(link, method, key, capability)));
    return { key, items: lists.flat() };
  }

  /** The upstream that a resource belongs to: as listed, else by template, else the only one that has resources. */
  async ownerOf(uri: string): Promise<Link | null> {
    const known = this.#owners.get(uri) ?? this.#byTemplate(uri);
    if (known !== undefined) return known;
    await Promise.all([this.list('resources/list'), this.list('resources/templates/list')]);
    const found = this.#owners.get(uri) ?? this.#byTemplate(uri);
    if (found !== undefined) return found;
    const having = this.#links().filter(link => link.capabilities.resources !== undefined);
    return having.length === 1 ? (having[0] ?? null) : null;
  }

  async #of(link: Link, method: keyof typeof kinds, key: string, capability: string): Promise<Buffer[]> {
    try {
      await link.start();
      if (link.capabilities[capability] === undefined) return [];
      const items = await link.list(method, key);
      return items.map(item => this.#take(link, method, item));
    } catch {
      return []; // the link has told its failure; the others' lists are whole
    }
  }

  #take(link: Link, method: keyof typeof kinds, item: Buffer): Buffer {
    const parsed: unknown = JSON.parse(item.toString('utf8'));
    if (!isRecord(parsed)) return item;
    if (method === 'prompts/list') return typeof parsed.name === 'string' ? renamed(item, link, parsed.name) : item;
    if (method === 'resources/list' && typeof parsed.uri === 'string') this.#owners.set(parsed.uri, link);
    if (method === 'resources/templates/list' && typeof parsed.uriTemplate === 'string') {
      this.#templates.set(parsed.uriTemplate, link);
    }
    return item;
  }

  #byTemplate(uri: string): Link | undefined {
    let best: { length: number; link: Link } | undefined;
    for (const [template, link] of this.#templates) {
      const fixed = template.slice(0, Math.max(0, template.indexOf('{')));
      if (uri === template || (fixed !== '' && uri.startsWith(fixed))) {
        if (best === undefined || fixed.length > best.length) best = { length: fixed.length, link };
      }
    }
    return best?.link;
  }
}

function renamed(item: Buffer, link: Link, name: string): Buffer {
  const edits = new Edits(item);
  for (const member of membersOf(item, startOf(item))) {
    if (member.key === 'name') edits.replace(member.value, member.end, JSON.stringify(exposedName(link.spec, name)));
  }
  return edits.apply();
}

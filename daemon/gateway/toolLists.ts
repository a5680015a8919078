import type { ClientConnection } from './clientConnection.ts';
import { exposeTool, toolEntry } from './injection.ts';
import type { Link } from './link.ts';
import { ListCache } from './listCache.ts';
import { exposedName } from './mergedLists.ts';
import { notification } from './message.ts';
import type { OwnTools } from './ownTools.ts';
import { listItems, resultOf } from './rewrite.ts';

/** How long a first list waits for an upstream that was never seen before; it joins by list_changed when it is later. */
const FIRST_LIST_MS = 8_000;
/** How long it waits for sessiond's own tools where they were never seen before. */
const OWN_LIST_MS = 1_000;
const OWN_KEY = 'sessiond-own';

/** The tools of all upstreams as the client sees them: from memory or cache at once, from the upstream where it must be. */
export class ToolLists {
  readonly #connection: ClientConnection;
  readonly #cache: ListCache;
  readonly #own: OwnTools | null;
  readonly #fresh = new Map<Link, readonly Buffer[]>();
  readonly #refreshing = new Map<Link, Promise<readonly Buffer[]>>();
  /** Links that said their list has changed: what is cached is known to be wrong. */
  readonly #stale = new Set<Link>();
  #listed = false;

  constructor(connection: ClientConnection, cache: ListCache, own: OwnTools | null) {
    this.#connection = connection;
    this.#cache = cache;
    this.#own = own;
  }

  /** Every tool's definition under its exposed name. */
  async list(links: readonly Link[]): Promise<Buffer[]> {
    const [own, ...lists] = await Promise.all([this.#ownItems(), ...links.map(link => this.#itemsOf(link))]);
    this.#listed = true;
    const exposed = lists.flatMap((items, i) => this.#expose(links[i] as Link, items));
    return [...(own ?? []), ...exposed];
  }

  /** The upstream said that its list has changed. */
  invalidate(link: Link): void {
    this.#fresh.delete(link);
    this.#refreshing.delete(link); // what is on its way may be the old one
    this.#stale.add(link);
    link.tools.clear();
  }

  #expose(link: Link, items: readonly Buffer[]): Buffer[] {
    return items.flatMap(item => {
      const entry = toolEntry(item);
      return entry === null ? [] : [exposeTool(entry, exposedName(link.spec, entry.name), link.spec.inject)];
    });
  }

  async #itemsOf(link: Link): Promise<readonly Buffer[]> {
    const fresh = this.#fresh.get(link);
    if (fresh !== undefined && link.state === 'ready') return fresh;
    const cached = this.#cache.get(this.#key(link));
    const refreshed = this.#refresh(link, cached);
    if (cached !== null && !this.#stale.has(link)) {
      link.remember(cached);
      return cached;
    }
    return within(refreshed, FIRST_LIST_MS, cached ?? []);
  }

  #key(link: Link): string {
    return ListCache.key(link.spec.fingerprint, this.#connection.initializeParams);
  }

  /** Asks the upstream; tells the client when it was shown something else. Never rejects. */
  #refresh(link: Link, shown: readonly Buffer[] | null): Promise<readonly Buffer[]> {
    const running = this.#refreshing.get(link);
    if (running !== undefined) return running;
    const refresh: Promise<readonly Buffer[]> = link
      .list('tools/list', 'tools')
      .then(
        items => {
          if (this.#refreshing.get(link) !== refresh) return items; // the list has changed since it was asked for
          link.tools.clear();
          link.remember(items);
          this.#fresh.set(link, items);
          const wasStale = this.#stale.delete(link); // the upstream has told the client by itself
          const changed = this.#cache.put(this.#key(link), items);
          if (changed && (shown !== null || this.#listed) && !wasStale) {
            this.#connection.tell(notification('notifications/tools/list_changed'), null);
          }
          return items;
        },
        (error: Error) => {
          this.#connection.context.log(error.message);
          return shown ?? [];
        },
      )
      .finally(() => {
        if (this.#refreshing.get(link) === refresh) this.#refreshing.delete(link);
      });
    this.#refreshing.set(link, refresh);
    return refresh;
  }

  async #ownItems(): Promise<readonly Buffer[]> {
    if (this.#own === null) return [];
    const cached = this.#cache.get(OWN_KEY);
    const asked = this.#askOwn(this.#own, cached !== null);
    return cached ?? within(asked, OWN_LIST_MS, []);
  }

  #askOwn(own: OwnTools, shown: boolean): Promise<readonly Buffer[]> {
    const request = Buffer.from('{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}');
    const caller = { client: this.#connection.client, conversation: null, workspace: this.#connection.workspace };
    return own(request, caller).then(
      answer => {
        const result = answer === null ? null : resultOf(Buffer.from(answer));
        if (result === null) return [];
        const items = listItems(result, 'tools');
        const changed = this.#cache.put(OWN_KEY, items);
        if (changed && (shown || this.#listed)) {
          this.#connection.tell(notification('notifications/tools/list_changed'), null);
        }
        return items;
      },
      (error: Error) => {
        this.#connection.context.log(`sessiond's own tools can't be listed now: ${error.message}`);
        return [];
      },
    );
  }
}

function within<T>(answer: Promise<T>, ms: number, otherwise: T): Promise<T> {
  return new Promise(resolve => {
    const timer = setTimeout(() => resolve(otherwise), ms);
    void answer.then(value => {
      clearTimeout(timer);
      resolve(value);
    });
  });
}

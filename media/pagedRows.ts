/** One page as the daemon answers it. */
export interface Page<Row> {
  readonly items: readonly Row[];
  readonly next_cursor: string | null;
  readonly total: number | null;
}

/** What a kind of row has to say of itself. */
export interface RowKind<Row> {
  key(row: Row): string;
  /** The time that the list is ordered by, newest first. */
  time(row: Row): string;
  /** False when `next` is known to be older than `current`: an event that a snapshot has overtaken. */
  supersedes(next: Row, current: Row): boolean;
  fetchPage(query: { limit: number; cursor: string | undefined; before: string | undefined }): Promise<Page<Row>>;
}

const STEP = 50;
/** The most rows shown at once: what is older comes on a page of its own. */
export const PAGE_ROWS = 200;

/** A list, newest first, that is read in pages and kept current by single rows; it never holds more than one page. */
export class PagedRows<Row> {
  rows: readonly Row[] = [];
  total: number | null = null;
  hasMore = false;
  loaded = false;
  #cursor: string | undefined;
  #before: string | undefined;
  #generation = 0;
  #overtaking: Row[] | null = null;
  readonly #kind: RowKind<Row>;

  constructor(kind: RowKind<Row>) {
    this.#kind = kind;
  }

  /** True on the first page, the only one that new rows appear on. */
  get newest(): boolean {
    return this.#before === undefined;
  }

  /** Reads what is shown anew; resolves false when a later reading took its place. */
  async reload(): Promise<boolean> {
    const limit = Math.min(PAGE_ROWS, Math.max(STEP, Math.ceil(this.rows.length / STEP) * STEP));
    return this.#read({ limit, cursor: undefined, before: this.#before }, false);
  }

  /** Goes back to the newest rows, for instance because the filter changed. */
  async restart(): Promise<boolean> {
    this.#before = undefined;
    return this.#read({ limit: STEP, cursor: undefined, before: undefined }, false);
  }

  /** Reads older rows: below these, or on a page of their own when this one is full. */
  async more(): Promise<boolean> {
    const last = this.rows.at(-1);
    if (last === undefined) return this.restart();
    if (this.#cursor !== undefined && this.rows.length < PAGE_ROWS)
      return this.#read({ limit: STEP, cursor: this.#cursor, before: this.#before }, true);
    // A cursor holds for the rows it came with only; a moment later than the last row misses none of the same time.
    this.#before = new Date(Date.parse(this.#kind.time(last)) + 1).toISOString();
    return this.#read({ limit: STEP, cursor: undefined, before: this.#before }, false);
  }

  /** Puts one row where it belongs, or into the place of what it replaces; a row past the end is left to `more`. */
  upsert(row: Row): void {
    this.#overtaking?.push(row);
    const key = this.#kind.key(row);
    const current = this.rows.find(one => this.#kind.key(one) === key);
    if (current === undefined && !this.newest) return;
    if (current !== undefined && !this.#kind.supersedes(row, current)) return;
    if (current !== undefined && this.#kind.time(current) === this.#kind.time(row)) {
      this.rows = this.rows.map(one => (one === current ? row : one));
      return;
    }
    const others = this.rows.filter(one => one !== current);
    const found = others.findIndex(one => this.#kind.time(one) <= this.#kind.time(row));
    const at = found === -1 ? others.length : found;
    if (current === undefined) {
      if (at === others.length && this.hasMore) return;
      if (this.total !== null) this.total += 1;
    }
    const placed = others.toSpliced(at, 0, row);
    this.rows = placed.slice(0, PAGE_ROWS);
    if (placed.length > PAGE_ROWS) {
      this.hasMore = true;
      this.#cursor = undefined;
    }
  }

  /** Takes a row off the list. */
  remove(key: string): void {
    const left = this.rows.filter(one => this.#kind.key(one) !== key);
    if (left.length < this.rows.length && this.total !== null) this.total -= 1;
    this.rows = left;
  }

  async #read(query: Parameters<RowKind<Row>['fetchPage']>[0], append: boolean): Promise<boolean> {
    this.#generation += 1;
    const generation = this.#generation;
    const overtaking: Row[] = [];
    this.#overtaking = overtaking;
    const page = await this.#kind.fetchPage(query).finally(() => {
      if (this.#overtaking === overtaking) this.#overtaking = null;
    });
    if (generation !== this.#generation) return false;
    const kept = append ? this.rows : [];
    const known = new Set(kept.map(row => this.#kind.key(row)));
    this.rows = [...kept, ...page.items.filter(row => !known.has(this.#kind.key(row)))];
    this.#cursor = page.next_cursor ?? undefined;
    this.hasMore = page.next_cursor !== null;
    if (page.total !== null && this.newest) this.total = page.total;
    this.loaded = true;
    for (const row of overtaking) this.upsert(row);
    return true;
  }
}

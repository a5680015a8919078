import type { Session, SessionStatus } from '../shared/session.ts';
import { listSessions } from './api.ts';
import { connectHelp } from './connectHelp.ts';
import { arrowNavigation, element, placeInOrder, setHidden, textElement } from './dom.ts';
import { counted } from './format.ts';
import { PAGE_ROWS, PagedRows } from './pagedRows.ts';
import { SessionRow } from './sessionRow.ts';

const statuses: Record<SessionStatus, string> = {
  active: 'Active',
  created: 'Created',
  suspended: 'Suspended',
  completed: 'Completed',
  failed: 'Failed',
  abandoned: 'Abandoned',
};

const TYPING_PAUSE_MS = 200;
const RELOAD_PAUSE_MS = 500;

/** The list of sessions with its filters. */
export class SessionsView {
  readonly #search = element('input', {
    type: 'search',
    id: 'text-filter',
    placeholder: 'Filter by title or purpose',
    autocomplete: 'off',
    spellcheck: 'false',
    'aria-keyshortcuts': '/',
  });
  readonly #status = element('select', { id: 'status-filter' }, element('option', { value: '' }, 'Any status'));
  readonly #count = element('p', { class: 'count', role: 'status' });
  readonly #list = element('ul', { class: 'rows', 'aria-label': 'Sessions, the most recently active first' });
  readonly #nothing = element('div', { class: 'nothing' });
  readonly #fault = textElement('p', 'fault');
  readonly #more = element('button', { type: 'button', class: 'more' });
  readonly #newest = element('button', { type: 'button', class: 'more' }, 'Back to the newest');
  readonly #rows = new Map<string, SessionRow>();
  readonly #data: PagedRows<Session>;
  #open: string | null = null;
  #typing = 0;
  #pendingReload = 0;

  constructor(root: HTMLElement) {
    this.#data = new PagedRows<Session>({
      key: session => session.session_id,
      time: session => session.last_activity_at,
      supersedes: (next, current) =>
        next.version >= current.version && next.last_activity_at >= current.last_activity_at,
      fetchPage: ({ limit, cursor, before }) =>
        listSessions({
          limit,
          cursor,
          active_before: before,
          text: this.#search.value.trim() || undefined,
          status: this.#status.value || undefined,
        }),
    });
    for (const [value, name] of Object.entries(statuses)) this.#status.append(element('option', { value }, name));
    root.append(
      element(
        'form',
        { class: 'filters', role: 'search' },
        element('label', { class: 'unseen', for: 'text-filter' }, 'Filter sessions by title or purpose'),
        this.#search,
        element('label', { class: 'unseen', for: 'status-filter' }, 'Status'),
        this.#status,
      ),
      this.#count,
      this.#fault,
      this.#list,
      this.#nothing,
      element('div', { class: 'pager' }, this.#newest, this.#more),
    );
    setHidden(this.#fault, true);
    setHidden(this.#more, true);
    setHidden(this.#newest, true);
    arrowNavigation(this.#list, '.session-row');
    root.querySelector('form')?.addEventListener('submit', event => event.preventDefault());
    this.#search.addEventListener('input', () => {
      clearTimeout(this.#typing);
      this.#typing = window.setTimeout(() => void this.#show(this.#data.restart()), TYPING_PAUSE_MS);
    });
    this.#search.addEventListener('keydown', event => {
      if (event.key !== 'ArrowDown') return;
      event.preventDefault();
      this.#list.querySelector<HTMLElement>('.session-row')?.focus();
    });
    this.#status.addEventListener('change', () => void this.#show(this.#data.restart()));
    this.#more.addEventListener('click', () => void this.#show(this.#data.more()));
    this.#newest.addEventListener('click', () => void this.#show(this.#data.restart()));
  }

  /** Reads the list anew; a failure is said in place of it. */
  reload(): Promise<void> {
    return this.#show(this.#data.reload());
  }

  /** Takes a session as it is now into the list, or off it when the filter no longer fits. */
  take(session: Session): void {
    const status = this.#status.value;
    if (status !== '' && session.status !== status) this.#data.remove(session.session_id);
    // Which sessions the words of a filter fit is the daemon's to say.
    else if (!this.holds(session.session_id) && this.#search.value.trim() !== '') this.#reloadSoon();
    else this.#data.upsert(session);
  }

  /** Whether the session is in the list now. */
  holds(session_id: string): boolean {
    return this.#rows.has(session_id);
  }

  /** Marks the session that is open beside the list. */
  markOpen(session_id: string | null): void {
    this.#open = session_id;
    for (const [id, row] of this.#rows) markCurrent(row, id === session_id);
  }

  /** Puts focus on the row of a session, else on the first, else on the filter. */
  focus(session_id: string | null): void {
    const row = session_id === null ? undefined : this.#rows.get(session_id);
    const target = row?.link ?? this.#list.querySelector<HTMLElement>('.session-row') ?? this.#search;
    target.focus();
  }

  focusFilter(): void {
    this.#search.focus();
    this.#search.select();
  }

  /** Brings the document in line with the data and the clock. */
  render(now: number): void {
    if (!this.#data.loaded) return;
    const wanted = this.#data.rows.map(session => {
      const row = this.#rows.get(session.session_id) ?? new SessionRow();
      if (!this.#rows.has(session.session_id)) {
        this.#rows.set(session.session_id, row);
        markCurrent(row, session.session_id === this.#open);
      }
      row.update(session, now);
      return row.item;
    });
    const keep = new Set(this.#data.rows.map(session => session.session_id));
    for (const id of this.#rows.keys()) if (!keep.has(id)) this.#rows.delete(id);
    placeInOrder(this.#list, wanted);
    const filtered = this.#search.value.trim() !== '' || this.#status.value !== '';
    this.#sayCount(filtered);
    this.#sayNothing(wanted.length === 0, filtered);
    setHidden(this.#more, !this.#data.hasMore);
    setHidden(this.#newest, this.#data.newest);
    const label = wanted.length >= PAGE_ROWS ? 'Older sessions' : 'Load more';
    if (this.#more.textContent !== label) this.#more.textContent = label;
  }

  #sayCount(filtered: boolean): void {
    const total = this.#data.total ?? this.#data.rows.length;
    const shown = this.#data.rows.length;
    const of = shown < total ? `${shown.toLocaleString()} of ${counted(total, 'session')}` : counted(shown, 'session');
    const text = filtered ? `${of} fit` : of;
    if (this.#count.textContent !== text) this.#count.textContent = text;
    setHidden(this.#count, shown === 0 && !filtered);
  }

  #sayNothing(nothing: boolean, filtered: boolean): void {
    setHidden(this.#nothing, !nothing);
    const kind = nothing ? (filtered ? 'filtered' : 'new') : '';
    if (this.#nothing.dataset.kind === kind) return;
    this.#nothing.dataset.kind = kind;
    if (kind === 'new') this.#nothing.replaceChildren(connectHelp());
    else if (kind === 'filtered')
      this.#nothing.replaceChildren(element('p', { class: 'empty' }, 'No session fits this filter.'));
    else this.#nothing.replaceChildren();
  }

  #reloadSoon(): void {
    if (this.#pendingReload !== 0) return;
    this.#pendingReload = window.setTimeout(() => {
      this.#pendingReload = 0;
      void this.reload();
    }, RELOAD_PAUSE_MS);
  }

  async #show(reading: Promise<boolean>): Promise<void> {
    const fault = await reading.then(
      () => null,
      (error: unknown) => (error instanceof Error ? error.message : String(error)),
    );
    this.#fault.textContent = fault;
    setHidden(this.#fault, fault === null);
    this.render(Date.now());
  }
}

function markCurrent(row: SessionRow, current: boolean): void {
  if (current) row.link.setAttribute('aria-current', 'true');
  else row.link.removeAttribute('aria-current');
}

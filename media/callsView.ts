import type { Invocation } from '../shared/invocation.ts';
import { listInvocations } from './api.ts';
import { CallRow } from './callRow.ts';
import { arrowNavigation, element, placeInOrder, setHidden, textElement } from './dom.ts';
import { counted } from './format.ts';
import { PAGE_ROWS, PagedRows } from './pagedRows.ts';

/** The calls of one session, or of all when `session_id` is null, newest first. */
export class CallsView {
  readonly root = element('div', { class: 'calls' });
  readonly session_id: string | null;
  readonly #heading = element('h3', { class: 'count' }, 'Calls');
  readonly #list = element('ol', { class: 'rows', reversed: '', 'aria-label': 'Calls, newest first' });
  readonly #nothing = element('p', { class: 'empty', hidden: '' }, 'No calls yet. They appear here as they happen.');
  readonly #fault = textElement('p', 'fault');
  readonly #more = element('button', { type: 'button', class: 'more', hidden: '' }, 'Load more');
  readonly #newest = element('button', { type: 'button', class: 'more', hidden: '' }, 'Back to the newest');
  readonly #rows = new Map<string, CallRow>();
  readonly #data: PagedRows<Invocation>;

  constructor(session_id: string | null) {
    this.session_id = session_id;
    this.#data = new PagedRows<Invocation>({
      key: call => call.invocation_id,
      time: call => call.started_at,
      supersedes: (next, current) => next.status !== 'running' || current.status === 'running',
      fetchPage: ({ limit, cursor, before }) =>
        listInvocations({ session_id: session_id ?? undefined, limit, cursor, started_before: before }),
    });
    setHidden(this.#fault, true);
    this.root.append(
      this.#heading,
      this.#fault,
      this.#list,
      this.#nothing,
      element('div', { class: 'pager' }, this.#newest, this.#more),
    );
    arrowNavigation(this.#list, '.call-row');
    this.#more.addEventListener('click', () => void this.#show(this.#data.more()));
    this.#newest.addEventListener('click', () => void this.#show(this.#data.restart()));
  }

  /** Reads the calls anew; a failure is said in place of them. */
  reload(): Promise<void> {
    return this.#show(this.#data.reload());
  }

  /** Takes a call as it is now: into the list, or off it when it belongs to another session. */
  take(call: Invocation): void {
    if (this.session_id === null || call.session_id === this.session_id) this.#data.upsert(call);
    else this.#data.remove(call.invocation_id);
  }

  /** Brings the document in line with the data and the clock. */
  render(now: number): void {
    if (!this.#data.loaded) return;
    const wanted = this.#data.rows.map(call => {
      const row = this.#rows.get(call.invocation_id) ?? new CallRow();
      this.#rows.set(call.invocation_id, row);
      row.update(call, now);
      return row.item;
    });
    const keep = new Set(this.#data.rows.map(call => call.invocation_id));
    for (const id of this.#rows.keys()) if (!keep.has(id)) this.#rows.delete(id);
    placeInOrder(this.#list, wanted);
    const total = this.#data.total ?? wanted.length;
    const of = wanted.length < total ? `${wanted.length.toLocaleString()} of ${counted(total, 'call')}` : null;
    const heading = of ?? counted(wanted.length, 'call');
    if (this.#heading.textContent !== heading) this.#heading.textContent = heading;
    setHidden(this.#heading, wanted.length === 0);
    setHidden(this.#nothing, wanted.length > 0);
    setHidden(this.#more, !this.#data.hasMore);
    setHidden(this.#newest, this.#data.newest);
    const label = wanted.length >= PAGE_ROWS ? 'Older calls' : 'Load more';
    if (this.#more.textContent !== label) this.#more.textContent = label;
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

import type { Session } from '../shared/session.ts';
import { folderName, sessionLabel } from '../shared/sessionLabel.ts';
import { visible } from '../shared/visibleText.ts';
import { element, setHidden, showText, textElement } from './dom.ts';
import { age, counted, exactTime } from './format.ts';

/** The address of a session in this page. */
export function sessionAddress(session_id: string): string {
  return `#/session/${encodeURIComponent(session_id)}`;
}

/** One session in the list: a link whose nodes stay the same while its data change. */
export class SessionRow {
  readonly item = element('li');
  readonly link = element('a', { class: 'session-row' });
  readonly #label = textElement('span', 'row-label');
  readonly #age = element('time', { class: 'row-age' });
  readonly #status = element('span', { class: 'status' });
  readonly #active = element(
    'span',
    { class: 'active-mark', title: 'New conversations in this folder join it' },
    'current',
  );
  readonly #calls = element('span');
  readonly #errors = element('span', { class: 'errors' });
  readonly #place = textElement('span', 'row-place');
  readonly #tags = element('span', { class: 'tags' });
  #shown: Session | null = null;

  constructor() {
    this.link.append(
      element('span', { class: 'row-line' }, this.#label, this.#age),
      element(
        'span',
        { class: 'row-line row-facts' },
        this.#status,
        this.#active,
        this.#calls,
        this.#errors,
        this.#place,
      ),
      this.#tags,
    );
    this.item.append(this.link);
  }

  /** Shows the session; does nothing to what is shown already. */
  update(session: Session, now: number): void {
    const ago = age(session.last_activity_at, now);
    if (this.#age.textContent !== ago) this.#age.textContent = ago;
    if (this.#shown === session) return;
    this.#shown = session;
    this.link.href = sessionAddress(session.session_id);
    this.link.dataset.sessionId = session.session_id;
    showText(this.#label, sessionLabel(session));
    this.#age.dateTime = session.last_activity_at;
    this.#age.title = `Last activity ${exactTime(session.last_activity_at)}`;
    showStatus(this.#status, session.status);
    setHidden(this.#active, !session.active);
    this.#calls.textContent = counted(session.total_invocations, 'call');
    this.#errors.textContent = counted(session.failed_invocations, 'error');
    setHidden(this.#errors, session.failed_invocations === 0);
    const places = [session.client, session.workspace === null ? null : folderName(session.workspace)];
    showText(this.#place, places.filter(place => place !== null).join(' · '));
    this.#place.title = visible(session.workspace ?? '');
    showTags(this.#tags, session.tags);
  }
}

/** Shows a status by word and, through its data attribute, by colour and shape. */
export function showStatus(target: HTMLElement, status: string): void {
  if (target.dataset.status === status) return;
  target.dataset.status = status;
  target.textContent = status.replace('_', ' ');
}

/** Shows tags; nothing takes room when there are none. */
export function showTags(target: HTMLElement, tags: readonly string[]): void {
  target.replaceChildren(...tags.map(tag => textElement('span', 'tag', tag)));
  setHidden(target, tags.length === 0);
}

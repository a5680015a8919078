import type { Invocation } from '../shared/invocation.ts';
import type { Session } from '../shared/session.ts';
import { sessionLabel } from '../shared/sessionLabel.ts';
import { visible } from '../shared/visibleText.ts';
import { getSession } from './api.ts';
import { CallsView } from './callsView.ts';
import { copyButton, element, setHidden, showText, textElement } from './dom.ts';
import { age, duration, exactTime } from './format.ts';
import { sessionAddress, showStatus, showTags } from './sessionRow.ts';

const AGE_STEP_MS = 10_000;

/** One session: what it is, and its calls. With `session_id` null all calls, in whichever session or in none. */
export class SessionView {
  readonly session_id: string | null;
  readonly #calls: CallsView;
  readonly #title = element('h2', { tabindex: '-1', dir: 'auto' }, 'Session');
  readonly #purpose = textElement('p', 'purpose');
  readonly #status = element('span', { class: 'status' });
  readonly #tags = element('span', { class: 'tags', hidden: '' });
  readonly #facts = element('dl', { class: 'facts' });
  readonly #fault = element('p', { class: 'fault', role: 'alert', hidden: '' });
  #session: Session | null = null;
  #shown: Session | null = null;
  #shownAt = 0;

  constructor(root: HTMLElement, session_id: string | null) {
    this.session_id = session_id;
    this.#calls = new CallsView(session_id);
    setHidden(this.#purpose, true);
    const head = element(
      'header',
      { class: 'session-head' },
      element('a', { class: 'back', href: '#/' }, '← Sessions'),
      element('div', { class: 'title-line' }, this.#title, this.#status),
      this.#purpose,
      this.#tags,
      this.#facts,
    );
    if (session_id === null) {
      this.#title.textContent = 'All calls';
      setHidden(this.#status, true);
      setHidden(this.#facts, true);
    }
    root.setAttribute('aria-label', session_id === null ? 'All calls' : 'Session');
    root.replaceChildren(head, this.#fault, this.#calls.root);
  }

  /** Reads the session and its calls anew. */
  async reload(): Promise<void> {
    const calls = this.#calls.reload();
    if (this.session_id !== null) {
      const fault = await getSession(this.session_id).then(
        session => {
          this.take(session);
          return null;
        },
        (error: unknown) => (error instanceof Error ? error.message : String(error)),
      );
      if (fault !== null) showText(this.#fault, fault);
      setHidden(this.#fault, fault === null);
      setHidden(this.#calls.root, fault !== null && this.#session === null);
      setHidden(this.#status, this.#session === null);
    }
    await calls;
    this.render(Date.now());
  }

  take(session: Session): void {
    if (session.session_id === this.session_id) this.#session = session;
  }

  takeCall(call: Invocation): void {
    this.#calls.take(call);
  }

  /** Puts focus on the heading, where reading begins. */
  focus(): void {
    this.#title.focus({ preventScroll: true });
  }

  /** The name for the document's title. */
  get label(): string {
    if (this.session_id === null) return 'All calls';
    return this.#session === null ? 'Session' : visible(sessionLabel(this.#session));
  }

  render(now: number): void {
    this.#calls.render(now);
    const session = this.#session;
    if (session === null || (session === this.#shown && now - this.#shownAt < AGE_STEP_MS)) return;
    this.#shown = session;
    this.#shownAt = now;
    const label = sessionLabel(session);
    showText(this.#title, label);
    const purpose = session.purpose === null || session.purpose === label ? '' : session.purpose;
    showText(this.#purpose, purpose, true);
    setHidden(this.#purpose, purpose === '');
    showStatus(this.#status, session.status);
    showTags(this.#tags, session.tags);
    this.#showFacts(session, now);
  }

  #showFacts(session: Session, now: number): void {
    const rows: HTMLElement[] = [];
    const fact = (name: string, value: string | null, title = '', extra: readonly (Node | string)[] = []) => {
      if (value === null || value === '') return;
      const shown = textElement('dd', '', value);
      if (title) shown.title = title;
      shown.append(...extra);
      rows.push(element('div', {}, element('dt', {}, name), shown));
    };
    fact('Workspace', session.workspace);
    fact('Client', session.client);
    fact('Last activity', age(session.last_activity_at, now), exactTime(session.last_activity_at));
    fact('Created', age(session.created_at, now), exactTime(session.created_at));
    fact('Failed calls', session.failed_invocations > 0 ? session.failed_invocations.toLocaleString() : null);
    fact('Time in calls', session.total_duration_ms > 0 ? duration(session.total_duration_ms) : null);
    fact('User', session.user_id);
    fact('Task', session.task_id);
    fact('Agent', session.agent_id);
    if (session.parent_session_id !== null) {
      const parent = element('a', { href: sessionAddress(session.parent_session_id) }, session.parent_session_id);
      rows.push(element('div', {}, element('dt', {}, 'Continues'), element('dd', {}, parent)));
    }
    fact('Session id', session.session_id, '', [' ', copyButton('Copy', () => session.session_id)]);
    const focused = this.#facts.contains(document.activeElement);
    this.#facts.replaceChildren(...rows);
    if (focused) this.#facts.querySelector<HTMLElement>('a, button')?.focus({ preventScroll: true });
  }
}

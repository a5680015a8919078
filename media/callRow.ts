import type { Invocation } from '../shared/invocation.ts';
import { visible } from '../shared/visibleText.ts';
import { getInvocation } from './api.ts';
import { callDetail } from './callDetail.ts';
import { element, setHidden, showText, textElement } from './dom.ts';
import { duration, exactTime, shortTime } from './format.ts';
import { showStatus } from './sessionRow.ts';

let made = 0;

/** One call: a button with its summary that unfolds what is recorded of it. */
export class CallRow {
  readonly item = element('li', { class: 'call' });
  readonly #button = element('button', { type: 'button', class: 'call-row', 'aria-expanded': 'false' });
  readonly #detail = element('div', { class: 'call-body', hidden: '' });
  readonly #status = element('span', { class: 'status' });
  readonly #tool = textElement('span', 'call-tool');
  readonly #server = textElement('span', 'call-server');
  readonly #who = textElement('span', 'call-who');
  readonly #start = element('time', { class: 'call-start' });
  readonly #duration = element('span', { class: 'call-duration' });
  #shown: Invocation | null = null;

  constructor() {
    made += 1;
    this.#detail.id = `call-${made}`;
    this.#button.setAttribute('aria-controls', this.#detail.id);
    this.#button.append(this.#status, this.#tool, this.#server, this.#who, this.#start, this.#duration);
    this.item.append(this.#button, this.#detail);
    this.#button.addEventListener('click', () => this.#toggle());
  }

  /** Shows the call; when it is unfolded and has ended since, what is unfolded is read anew. */
  update(call: Invocation, now: number): void {
    if (call.status === 'running') this.#sayDuration(now - Date.parse(call.started_at), 'so far');
    if (this.#shown === call) return;
    const ended = this.#shown !== null && this.#shown.status !== call.status;
    this.#shown = call;
    this.#button.dataset.invocationId = call.invocation_id;
    showStatus(this.#status, call.status);
    showText(this.#tool, call.tool);
    showText(this.#server, call.server);
    showText(this.#who, call.client ?? '');
    this.#who.title = visible([call.client, call.client_version].filter(Boolean).join(' '));
    this.#start.textContent = shortTime(call.started_at, now);
    this.#start.dateTime = call.started_at;
    this.#start.title = exactTime(call.started_at);
    if (call.duration_ms !== null) this.#sayDuration(call.duration_ms, '');
    else if (call.status !== 'running') this.#duration.textContent = '';
    if (ended && !this.#detail.hidden) void this.#load();
  }

  #sayDuration(ms: number, suffix: string): void {
    const whole = suffix === '' ? ms : Math.max(0, Math.floor(ms / 1000) * 1000);
    const text = `${duration(whole)} ${suffix}`.trim();
    if (this.#duration.textContent !== text) this.#duration.textContent = text;
  }

  #toggle(): void {
    const unfold = this.#detail.hidden;
    setHidden(this.#detail, !unfold);
    this.#button.setAttribute('aria-expanded', String(unfold));
    if (unfold) void this.#load();
    else this.#detail.replaceChildren();
  }

  async #load(): Promise<void> {
    const call = this.#shown;
    if (call === null) return;
    if (this.#detail.childElementCount === 0) this.#detail.append(element('p', { class: 'hint' }, 'Loading…'));
    const content = await getInvocation(call.invocation_id).then(callDetail, (error: unknown) =>
      textElement('p', 'fault', error instanceof Error ? error.message : String(error)),
    );
    if (!this.#detail.hidden && this.#shown === call) this.#detail.replaceChildren(content);
  }
}

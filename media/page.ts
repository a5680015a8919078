import type { DaemonEvent } from '../shared/events.ts';
import { getSession } from './api.ts';
import { element } from './dom.ts';
import { type ConnectionState, followEvents } from './liveEvents.ts';
import { SessionsView } from './sessionsView.ts';
import { SessionView } from './sessionView.ts';

const CLOCK_MS = 1000;
const COUNTERS_PAUSE_MS = 400;
/** More changed sessions than this are cheaper to read as the list. */
const MOST_SINGLE_READS = 5;

const connectionText: Record<ConnectionState, string> = {
  connecting: 'Connecting…',
  live: 'Live',
  lost: 'Daemon not reachable, retrying…',
  locked: 'This browser is not signed in (any more): run “sessiond open”.',
};

const panes = byId('panes');
const detailRoot = byId('detail');
const connection = byId('connection');
const sessions = new SessionsView(byId('sessions'));
const changed = new Set<string>();
let detail: SessionView | null = null;
let lastOpened: string | null = null;
let rendering = false;

function byId(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`page.html has no element #${id}`);
  return found;
}

/** Where the address leads: a session, all calls (null), or the list alone (undefined). */
function route(): string | null | undefined {
  // An editor that opens a link may escape its slashes; ids have nothing that needs escaping.
  const address = location.hash.replaceAll(/%2f/gi, '/');
  if (address === '#/calls') return null;
  return /^#\/session\/(.+)$/.exec(address)?.[1];
}

function render(): void {
  const now = Date.now();
  sessions.render(now);
  detail?.render(now);
  const title = detail === null ? 'sessiond' : `${detail.label} · sessiond`;
  if (document.title !== title) document.title = title;
}

function scheduleRender(): void {
  if (rendering) return;
  rendering = true;
  requestAnimationFrame(() => {
    rendering = false;
    render();
  });
}

function open(target: string | null | undefined, moveFocus: boolean): void {
  panes.dataset.view = target === undefined ? 'list' : target === null ? 'calls' : 'session';
  for (const link of document.querySelectorAll<HTMLElement>('[data-view]:is(a)')) {
    const current = (link.dataset.view === 'calls') === (target === null);
    if (current) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  if (target === undefined) {
    detail = null;
    detailRoot.replaceChildren(element('p', { class: 'empty' }, 'Choose a session to see its calls.'));
    sessions.markOpen(null);
    if (moveFocus) sessions.focus(lastOpened);
    scheduleRender();
    return;
  }
  if (detail?.session_id === target) return;
  detail = new SessionView(detailRoot, target);
  lastOpened = target;
  sessions.markOpen(target);
  detailRoot.scrollTop = 0;
  if (moveFocus) detail.focus();
  void detail.reload().then(scheduleRender);
}

function reloadAll(): void {
  void sessions.reload();
  void detail?.reload().then(scheduleRender);
}

/** Counters change with each call, but a call's event carries none: those of the sessions concerned are read together. */
async function readChanged(): Promise<void> {
  const ids = [...changed];
  changed.clear();
  if (ids.length > MOST_SINGLE_READS) return reloadAll();
  for (const id of ids) {
    const session = await getSession(id).catch(() => null);
    // Not read: it has gone, or the connection has, and then the next snapshot tells.
    if (session === null) continue;
    sessions.take(session);
    detail?.take(session);
  }
  scheduleRender();
}

function markChanged(session_id: string | null): void {
  if (session_id === null) return;
  if (changed.size === 0) setTimeout(() => void readChanged(), COUNTERS_PAUSE_MS);
  changed.add(session_id);
}

function takeEvent(event: DaemonEvent): void {
  switch (event.type) {
    case 'session.created':
    case 'session.updated':
    case 'session.activated':
      sessions.take(event.session);
      detail?.take(event.session);
      // Only one session of a workspace is the active one: the others have just ceased to be.
      if (event.type === 'session.activated') void sessions.reload();
      break;
    case 'invocation.started':
    case 'invocation.ended':
    case 'invocation.linked':
      detail?.takeCall(event.invocation);
      markChanged(event.session_id);
      if (event.type === 'invocation.linked') void sessions.reload();
      break;
    case 'conversation.moved':
      break;
  }
  scheduleRender();
}

document.addEventListener('keydown', event => {
  const typing = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement;
  if (event.key === '/' && !typing && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    sessions.focusFilter();
  }
  if (event.key === 'Escape' && !typing && route() !== undefined) location.hash = '#/';
});
window.addEventListener('hashchange', () => open(route(), true));
setInterval(scheduleRender, CLOCK_MS);

open(route(), false);
followEvents({
  onState(state) {
    connection.dataset.state = state;
    connection.textContent = connectionText[state];
  },
  onSnapshot: reloadAll,
  onEvent: takeEvent,
});

import type { DaemonEvent, EventType } from '../shared/events.ts';
import { daemonStatus, RequestError } from './api.ts';

/** `locked`: the daemon answers, but this browser's sign-in is not valid (any more). */
export type ConnectionState = 'connecting' | 'live' | 'lost' | 'locked';

const types: Record<EventType, true> = {
  'session.created': true,
  'session.updated': true,
  'session.activated': true,
  'invocation.started': true,
  'invocation.ended': true,
  'invocation.linked': true,
  'conversation.moved': true,
};

const FIRST_RETRY_MS = 300;
const LAST_RETRY_MS = 3000;

/**
 * Follows the daemon's events for as long as the page lives. `onSnapshot` is called whenever what is shown may have a
 * hole (first connection, reconnection, resync): load anew then; events follow from there on.
 */
export function followEvents(listener: {
  onState(state: ConnectionState): void;
  onSnapshot(): void;
  onEvent(event: DaemonEvent): void;
}): void {
  let retry = FIRST_RETRY_MS;

  const connect = () => {
    const source = new EventSource('/events');
    source.addEventListener('open', () => {
      retry = FIRST_RETRY_MS;
      listener.onState('live');
      listener.onSnapshot();
    });
    source.addEventListener('resync', () => listener.onSnapshot());
    for (const type of Object.keys(types)) {
      source.addEventListener(type, message => {
        // Same origin and checked by the daemon, as every answer in api.ts.
        listener.onEvent(JSON.parse(message.data) as DaemonEvent);
      });
    }
    source.addEventListener('error', () => {
      // EventSource gives up for good on an HTTP error and hides its status, so each retry is ours.
      source.close();
      listener.onState('lost');
      daemonStatus().catch((error: unknown) => {
        if (error instanceof RequestError && (error.status === 401 || error.status === 403)) listener.onState('locked');
      });
      setTimeout(connect, retry);
      retry = Math.min(retry * 1.6, LAST_RETRY_MS);
    });
  };
  connect();
}

import type { Session } from '../../shared/session.ts';
import type { ExplicitUse, Store } from '../store/store.ts';
import type { Refused, SessionSource, Usable } from './sessions.ts';

/** The store as the source of sessions, for gateways that run in the daemon. */
export function storeSource(store: Pick<Store, 'useExplicit' | 'resolveConversation' | 'onEvents'>): SessionSource {
  return {
    async useExplicit(session_id, caller) {
      const use = await store.useExplicit(session_id, caller);
      return usable(use);
    },
    resolveConversation: (conversation, proposed, caller) => store.resolveConversation(conversation, proposed, caller),
    onChanged: listener =>
      store.onEvents(events => {
        for (const event of events) {
          if (event.type === 'session.updated' && mayBeRefused(event.session)) {
            listener({ session_id: event.session_id });
          } else if (event.type === 'conversation.moved') {
            listener({ conversation: { client: event.client, conversation_id: event.conversation_id } });
          }
        }
      }),
  };
}

/** The store's answer as gateways get it. */
export function usable(use: ExplicitUse): Usable | Refused {
  if ('refused' in use) return use;
  return { session_id: use.session.session_id, expires: use.session.expires_at !== null };
}

/** Whether a call with the id of a session has to ask for it. */
export function mayBeRefused(session: Session): boolean {
  return session.status !== 'active' || session.expires_at !== null;
}

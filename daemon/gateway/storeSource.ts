import type { Store } from '../store/store.ts';
import type { SessionSource } from './sessions.ts';

/** The store as the source of sessions, for gateways that run in the daemon. */
export function storeSource(store: Pick<Store, 'useExplicit' | 'resolveConversation' | 'onEvents'>): SessionSource {
  return {
    async useExplicit(session_id, caller) {
      const use = await store.useExplicit(session_id, caller);
      return 'refused' in use ? use : { session_id: use.session.session_id };
    },
    resolveConversation: (conversation, proposed, caller) => store.resolveConversation(conversation, proposed, caller),
    onChanged: listener =>
      store.onEvents(events => {
        for (const event of events) {
          if (event.type === 'session.updated' && event.session.status !== 'active') {
            listener({ session_id: event.session_id });
          } else if (event.type === 'conversation.moved') {
            listener({ conversation: { client: event.client, conversation_id: event.conversation_id } });
          }
        }
      }),
  };
}

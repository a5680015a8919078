import type { Handlers } from '../invoke.ts';
import type { Store } from '../store/store.ts';

type InvocationHandlers = Pick<Handlers, Extract<keyof Handlers, `invocations_${string}`>>;

/** The handlers of the noun `invocations`. */
export function invocationHandlers(store: Store): InvocationHandlers {
  return {
    invocations_list: filter => store.listInvocations(filter),
    invocations_get: ({ invocation_id }) => store.getInvocation(invocation_id),
    invocations_link: ({ invocation_id, session_id }) => store.linkInvocation(invocation_id, session_id),
  };
}

import { isAbsolute } from 'node:path';
import { DaemonError } from '../../shared/errors.ts';
import type { Handlers } from '../invoke.ts';
import type { NewSession, Store } from '../store/store.ts';

type SessionHandlers = Pick<Handlers, Extract<keyof Handlers, `sessions_${string}`>>;

/** The handlers of the noun `sessions`. */
export function sessionHandlers(store: Store): SessionHandlers {
  return {
    sessions_create: async ({ activate, ...given }, caller) => {
      const workspace = given.workspace ?? caller.workspace ?? undefined;
      if (given.workspace !== undefined) requireAbsolute(given.workspace);
      if (activate && workspace === undefined)
        throw new DaemonError('invalid_input', 'activate needs a workspace: give the absolute folder the work is in');
      const input: NewSession = { ...given };
      if (workspace !== undefined) input.workspace = workspace;
      if (caller.client !== null) input.client = caller.client;
      const created = await store.createSession(input);
      return activate && workspace !== undefined ? store.activateSession(created.session_id, workspace) : created;
    },
    sessions_get: ({ session_id }) => store.getSession(session_id),
    sessions_list: filter => store.listSessions(filter),
    sessions_update: async ({ session_id, version, ...patch }) => {
      if (Object.values(patch).every(value => value === undefined))
        throw new DaemonError('invalid_input', `nothing to change in ${session_id}: give a title, tags, a status …`);
      return store.updateSession(session_id, patch, version);
    },
    sessions_use: async ({ session_id, workspace, client, conversation_id }, caller) => {
      const named = client !== undefined || conversation_id !== undefined;
      if (workspace !== undefined && named)
        throw new DaemonError('invalid_input', 'give either a workspace, or client with conversation_id, not both');
      if (workspace !== undefined) {
        requireAbsolute(workspace);
        return store.activateSession(session_id, workspace);
      }
      if (client !== undefined && conversation_id !== undefined)
        return store.bindConversation({ client, conversation_id }, session_id);
      if (named)
        throw new DaemonError(
          'invalid_input',
          `${client === undefined ? 'client' : 'conversation_id'} is missing: a conversation is named by client and conversation_id`,
        );
      if (caller.conversation !== null) return store.bindConversation(caller.conversation, session_id);
      if (caller.workspace !== null) return store.activateSession(session_id, caller.workspace);
      throw new DaemonError(
        'invalid_input',
        `what should use ${session_id}? give a workspace (an absolute folder), or client and conversation_id`,
      );
    },
    sessions_complete: ({ session_id, status, version }) => store.updateSession(session_id, { status }, version),
  };
}

function requireAbsolute(workspace: string): void {
  if (!isAbsolute(workspace))
    throw new DaemonError('invalid_input', `workspace ${JSON.stringify(workspace)}: give an absolute path`);
}

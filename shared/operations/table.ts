import type * as z from 'zod';
import { daemonStatus } from './daemon.ts';
import { invocationsGet, invocationsLink, invocationsList } from './invocations.ts';
import { serversAdd, serversList, serversRemove } from './servers.ts';
import {
  sessionsComplete,
  sessionsCreate,
  sessionsGet,
  sessionsList,
  sessionsUpdate,
  sessionsUse,
} from './sessions.ts';

/** Every operation there is. Adding one is adding a record here and a handler. */
export const operations = {
  sessions_create: sessionsCreate,
  sessions_get: sessionsGet,
  sessions_list: sessionsList,
  sessions_update: sessionsUpdate,
  sessions_use: sessionsUse,
  sessions_complete: sessionsComplete,
  invocations_list: invocationsList,
  invocations_get: invocationsGet,
  invocations_link: invocationsLink,
  servers_list: serversList,
  servers_add: serversAdd,
  servers_remove: serversRemove,
  daemon_status: daemonStatus,
} as const;

export type OperationName = keyof typeof operations;
/** What a caller sends: defaults may be left out. */
export type OperationInput<N extends OperationName> = z.input<(typeof operations)[N]['input']>;
/** What a handler gets: checked, defaults filled in. */
export type OperationArguments<N extends OperationName> = z.output<(typeof operations)[N]['input']>;
export type OperationOutput<N extends OperationName> = z.output<(typeof operations)[N]['output']>;

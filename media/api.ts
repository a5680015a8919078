import type { ErrorBody } from '../shared/errors.ts';
import type { OperationName, OperationOutput } from '../shared/operations/table.ts';

/** A request that the daemon refused (`status` is its HTTP status) or that never reached it (`status` 0). */
export class RequestError extends Error {
  override readonly name = 'RequestError';
  readonly status: number;

  constructor(status: number, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.status = status;
  }
}

type Query = Readonly<Record<string, string | number | readonly string[] | undefined>>;

/** One page of sessions, the most recently active first. */
export function listSessions(query: Query): Promise<OperationOutput<'sessions_list'>> {
  return read<'sessions_list'>('/sessions', query);
}

/** One session; rejects with status 404 when there is none. */
export function getSession(session_id: string): Promise<OperationOutput<'sessions_get'>> {
  return read<'sessions_get'>(`/sessions/${encodeURIComponent(session_id)}`, {});
}

/** One page of calls, newest first. */
export function listInvocations(query: Query): Promise<OperationOutput<'invocations_list'>> {
  return read<'invocations_list'>('/invocations', query);
}

/** One call with its arguments and its result or error. */
export function getInvocation(invocation_id: string): Promise<OperationOutput<'invocations_get'>> {
  return read<'invocations_get'>(`/invocations/${encodeURIComponent(invocation_id)}`, {});
}

/** How the daemon is. */
export function daemonStatus(): Promise<OperationOutput<'daemon_status'>> {
  return read<'daemon_status'>('/daemon/status', {});
}

async function read<N extends OperationName>(path: string, query: Query): Promise<OperationOutput<N>> {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query))
    for (const one of Array.isArray(value) ? value : [value])
      if (one !== undefined) parameters.append(name, String(one));
  const url = parameters.size > 0 ? `${path}?${parameters}` : path;
  const response = await fetch(url, { headers: { accept: 'application/json' } }).catch(cause => {
    throw new RequestError(0, 'The daemon is not reachable.', { cause });
  });
  if (!response.ok) throw new RequestError(response.status, await messageOf(response));
  // The daemon has checked its output against the operation's schema; the schemas would treble this page.
  return (await response.json()) as OperationOutput<N>;
}

async function messageOf(response: Response): Promise<string> {
  const fallback = `The daemon answered ${response.status} ${response.statusText}.`;
  const body = (await response.json().catch(() => null)) as Partial<ErrorBody> | null;
  return body?.error?.message ?? fallback;
}

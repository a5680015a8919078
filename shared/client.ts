import type * as z from 'zod';
import { DaemonError, type ErrorCode, errorTable } from './errors.ts';
import { type DaemonEvent, daemonEvent } from './events.ts';
import type { Operation } from './operation.ts';
import { type OperationInput, type OperationName, type OperationOutput, operations } from './operations/table.ts';
import { createSseReader } from './sse.ts';

/** The stream lost its place (the daemon keeps a bounded number of events): load again what you show. */
export interface Resync {
  readonly type: 'resync';
  readonly seq: number;
}

/** Whether events flow: `open` once the daemon answered, `lost` when it stopped (with why), before each new attempt. */
export type StreamState = { readonly state: 'open' } | { readonly state: 'lost'; readonly error: DaemonError };

export interface EventOptions {
  /** Begin after this seq; left out: from now. */
  readonly after?: number;
  /** Events of this session only. */
  readonly session_id?: string;
  /** Ends the iteration, without an error. */
  readonly signal?: AbortSignal;
  readonly onState?: (state: StreamState) => void;
}

/** A page's address that works once, within a minute. */
export interface PageLink {
  readonly url: string;
  readonly expires_at: string;
}

/** The operations of a running daemon, typed from the table. Errors are DaemonErrors with the daemon's code. */
export interface Client {
  /** Never sent twice: `unavailable` means it did not run or its answer was lost, `timed_out` that it may have run. */
  call<N extends OperationName>(
    name: N,
    input: OperationInput<N>,
    options?: { readonly signal?: AbortSignal },
  ): Promise<OperationOutput<N>>;
  /** What happens from now on (or after `after`), over restarts of the daemon: reconnects and resumes by itself. */
  events(options?: EventOptions): AsyncIterable<DaemonEvent | Resync>;
  /** A one-time link that opens the page in a browser. */
  pageLink(): Promise<PageLink>;
}

export interface ClientOptions {
  /** `http://127.0.0.1:port`. */
  readonly url: string;
  readonly token: string;
  readonly fetch?: typeof fetch;
  /** Longest a call may take; 30,000. */
  readonly timeout_ms?: number;
}

const QUIET_MS = 45_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;

/** A client of the daemon at `url`; nothing is sent until it is used. */
export function createClient(options: ClientOptions): Client {
  const base = options.url.replace(/\/+$/, '');
  const send = options.fetch ?? fetch;
  const timeout_ms = options.timeout_ms ?? 30_000;
  const authorization = `Bearer ${options.token}`;

  async function request(what: string, method: string, path: string, body: unknown, signal?: AbortSignal) {
    const timeout = AbortSignal.timeout(timeout_ms);
    try {
      const response = await send(base + path, {
        method,
        redirect: 'error',
        signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
        headers: { authorization, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      if (!response.ok) throw await answeredError(what, response);
      return (await response.json()) as unknown;
    } catch (error) {
      if (error instanceof DaemonError || signal?.aborted) throw error;
      if (timeout.aborted)
        throw new DaemonError('timed_out', `${what} had no answer within ${timeout_ms} ms; it may have run`, {
          cause: error,
        });
      throw unreachable(base, error);
    }
  }

  return {
    async call(name, input, callOptions) {
      const { method, path, body } = requestOf(operations[name], input);
      const answer = await request(name, method, path, body, callOptions?.signal);
      const output: z.ZodType = operations[name].output;
      const parsed = output.safeParse(answer);
      if (!parsed.success) {
        const issue = parsed.error.issues[0];
        throw new DaemonError(
          'internal',
          `the daemon answered ${name} with something else than agreed (${issue?.path.map(String).join('.')}: ${issue?.message}); are both of one version?`,
          { cause: parsed.error },
        );
      }
      // The table ties the schema to the name; TypeScript does not follow that through a type parameter.
      return parsed.data as OperationOutput<typeof name>;
    },
    events: eventOptions => follow(base, authorization, send, eventOptions ?? {}),
    async pageLink() {
      const link = await request('page link', 'POST', '/page-links', {});
      if (typeof link === 'object' && link !== null && 'url' in link && 'expires_at' in link)
        return { url: String(link.url), expires_at: String(link.expires_at) };
      throw new DaemonError('internal', 'the daemon answered without a link; are both of one version?');
    },
  };
}

/** Lays an input out as the operation's route has it: path parameters, then query (GET, DELETE) or a JSON body. */
export function requestOf(
  record: Operation,
  input: Readonly<Record<string, unknown>>,
): { method: string; path: string; body?: Record<string, unknown> } {
  const rest = new Map(Object.entries(input).filter(([, value]) => value !== undefined));
  const path = record.path.replace(/:(\w+)/g, (_, key: string) => {
    const value = rest.get(key);
    rest.delete(key);
    if (value === undefined || value === '')
      throw new DaemonError('invalid_input', `${record.name}: ${key} is missing: it is required`);
    // A lone "." or ".." would be taken for a step in the path, escaped or not.
    if (value === '.' || value === '..')
      throw new DaemonError('invalid_input', `${record.name}: ${key} ${JSON.stringify(value)} is no name`);
    return encodeURIComponent(String(value).toWellFormed());
  });
  if (record.method === 'POST' || record.method === 'PATCH')
    return { method: record.method, path, body: Object.fromEntries(rest) };
  const query = new URLSearchParams();
  for (const [key, value] of rest)
    for (const item of Array.isArray(value) ? value : [value])
      query.append(key, typeof item === 'object' ? JSON.stringify(item) : String(item));
  return { method: record.method, path: query.size > 0 ? `${path}?${query}` : path };
}

async function* follow(
  base: string,
  authorization: string,
  send: typeof fetch,
  options: EventOptions,
): AsyncGenerator<DaemonEvent | Resync> {
  const { signal, session_id, onState } = options;
  let after: number | undefined = options.after;
  let pause = FIRST_PAUSE_MS;
  while (!signal?.aborted) {
    const stop = new AbortController();
    const quiet = quietTimer(() => stop.abort(new Error(`no sign of life for ${QUIET_MS} ms`)));
    try {
      const query = new URLSearchParams();
      if (after !== undefined) query.set('after', String(after));
      if (session_id !== undefined) query.set('session_id', session_id);
      const response = await send(`${base}/events?${query}`, {
        redirect: 'error',
        signal: signal ? AbortSignal.any([signal, stop.signal]) : stop.signal,
        headers: { authorization, accept: 'text/event-stream' },
      });
      if (!response.ok || !response.body) throw await answeredError('events', response);
      onState?.({ state: 'open' });
      const reader = createSseReader();
      const decoder = new TextDecoder();
      const body = response.body.getReader();
      for (let chunk = await body.read(); !chunk.done; chunk = await body.read()) {
        quiet.reset();
        pause = FIRST_PAUSE_MS;
        for (const { event, data, id } of reader.push(decoder.decode(chunk.value, { stream: true }))) {
          if (id !== null) after = Number(id);
          if (event === 'resync') yield { type: 'resync', seq: after ?? 0 };
          else {
            const parsed = daemonEvent.safeParse(JSON.parse(data));
            // An event of a newer daemon: nothing that this client could show.
            if (parsed.success) yield parsed.data;
          }
        }
        const id = reader.lastId();
        if (id !== null) after = Number(id);
      }
      throw new Error('the daemon ended the stream');
    } catch (error) {
      if (signal?.aborted) return;
      const known = error instanceof DaemonError ? error : unreachable(base, error);
      // What the daemon refuses now it will refuse again.
      if (known !== error || known.code === 'unavailable') onState?.({ state: 'lost', error: known });
      else throw known;
    } finally {
      quiet.stop();
      stop.abort();
    }
    await sleep(pause, signal);
    pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
  }
}

function quietTimer(onQuiet: () => void): { reset(): void; stop(): void } {
  let timer = setTimeout(onQuiet, QUIET_MS);
  return {
    reset() {
      clearTimeout(timer);
      timer = setTimeout(onQuiet, QUIET_MS);
    },
    stop: () => clearTimeout(timer),
  };
}

function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise(resolve => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', done);
    if (signal?.aborted) done();
  });
}

function unreachable(base: string, cause: unknown): DaemonError {
  return new DaemonError('unavailable', `no daemon answers at ${base}: start it with \`sessiond start\``, { cause });
}

async function answeredError(what: string, response: Response): Promise<DaemonError> {
  const text = await response.text();
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body === 'object' && body !== null && 'error' in body) {
      const { error } = body;
      if (typeof error === 'object' && error !== null && 'code' in error && 'message' in error) {
        const reference = 'reference' in error ? { reference: String(error.reference) } : {};
        if (isErrorCode(error.code)) return new DaemonError(error.code, String(error.message), reference);
        return new DaemonError('internal', `${String(error.code)}: ${String(error.message)}`, reference);
      }
    }
  } catch (cause) {
    return new DaemonError('internal', `${what}: HTTP ${response.status} without a JSON body`, { cause });
  }
  return new DaemonError('internal', `${what}: HTTP ${response.status} ${text.slice(0, 200)}`);
}

function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(errorTable, code);
}

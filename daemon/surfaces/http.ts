import type { HttpBindings } from '@hono/node-server';
import { type Context, Hono } from 'hono';
import { DaemonError } from '../../shared/errors.ts';
import { sessionIdFault } from '../../shared/ids.ts';
import type { Operation } from '../../shared/operation.ts';
import { type OperationInput, type OperationName, operations } from '../../shared/operations/table.ts';
import { type Caller, type Invoke, strictInput } from '../invoke.ts';
import type { EventStreams } from './events.ts';
import { metricsText } from './metrics.ts';
import { openapiDocument } from './openapi.ts';
import { type PageFile, pageFile, pageIndex } from './page.ts';
import { bodyInput, queryInput } from './requestInput.ts';
import { type Answer, errorAnswer, type Security, securityHeaders } from './security.ts';

export interface HttpDeps {
  readonly invoke: Invoke;
  readonly security: Security;
  readonly events: EventStreams;
  readonly version: string;
  /** The answer of /health to a nonce (null when none was sent). */
  readonly health: (nonce: string | null) => object;
  /** Folder of the built page. */
  readonly mediaFolder: string;
  /** Told of errors that no route foresaw. */
  readonly onError: (error: unknown) => void;
}

type Env = { Bindings: HttpBindings };
type Route = (context: Context<Env>) => Response | Promise<Response>;

const caller: Caller = { surface: 'rest', client: null, conversation: null, workspace: null };

/**
 * The daemon's HTTP surface: a route for each operation on REST, /openapi.json, /health, /metrics, /events, /page-links and
 * the page. Each request is authorised first. Serve it with `getRequestListener(app.fetch)` of @hono/node-server.
 */
export function createHttpApp(deps: HttpDeps): Hono<Env> {
  const app = new Hono<Env>();
  const methods = new Map<string, string[]>();

  app.use(async (context, next) => {
    const refusal = deps.security.authorize(context.env.incoming);
    return refusal ? answered(refusal) : next();
  });

  function route(method: string, path: string, run: Route): void {
    app.on(method, path, run);
    methods.set(path, [...(methods.get(path) ?? []), method, ...(method === 'GET' ? ['HEAD'] : [])]);
  }

  for (const name of Object.keys(operations) as OperationName[]) {
    const record: Operation = operations[name];
    if (record.surfaces.includes('rest')) route(record.method, record.path, operationRoute(deps.invoke, name));
  }
  const openapi = JSON.stringify(openapiDocument(deps.version));
  route('GET', '/openapi.json', () => jsonText(openapi));
  route('GET', '/health', context => json(deps.health(healthNonce(context))));
  route('GET', '/metrics', async () => {
    const status = await deps.invoke('daemon_status', {}, caller);
    return respond(metricsText(status, deps.events.subscribers()), 'text/plain; version=0.0.4; charset=utf-8');
  });
  route('GET', '/events', context => {
    const stream = context.req.method === 'HEAD' ? null : deps.events.open(subscription(context));
    return respond(stream, 'text/event-stream; charset=utf-8');
  });
  route('POST', '/page-links', context => {
    if (context.req.header('authorization') === undefined)
      throw new DaemonError('forbidden', 'a page cannot make links for other pages: use the token');
    return json(deps.security.mintPageLink());
  });
  route('GET', '/', async () => file(await pageIndex(deps.mediaFolder)));
  route('GET', '/media/:file', async context => {
    const found = await pageFile(deps.mediaFolder, context.req.param('file') ?? '');
    return found ? file(found) : notFound(context);
  });

  for (const [path, allowed] of methods)
    app.all(path, context => {
      const message = `${context.req.method} ${context.req.path}: use ${allowed.join(', ')}; /openapi.json lists every route`;
      const answer = errorAnswer(new DaemonError('unsupported', message), 405);
      return answered({ ...answer, headers: { ...answer.headers, allow: allowed.join(', ') } });
    });
  app.notFound(notFound);
  app.onError(error => {
    if (error instanceof DaemonError) return answered(errorAnswer(error));
    deps.onError(error);
    return answered(errorAnswer(new DaemonError('internal', "an unforeseen error; the daemon's log has its cause")));
  });
  return app;
}

function operationRoute(invoke: Invoke, name: OperationName): Route {
  const { method }: Operation = operations[name];
  const schema = strictInput(name);
  return async context => {
    const query = new URL(context.req.url).searchParams;
    const hasBody = method === 'POST' || method === 'PATCH';
    if (hasBody && query.size > 0)
      throw new DaemonError(
        'invalid_input',
        `${name}: send ${[...query.keys()].join(', ')} in the JSON body, not the query`,
      );
    const given = hasBody ? await bodyInput(context.req.raw) : queryInput(query, schema);
    const inPath: Record<string, string> = context.req.param();
    for (const [key, value] of Object.entries(inPath))
      if (Object.hasOwn(given, key) && given[key] !== value)
        throw new DaemonError(
          'invalid_input',
          `${name}: ${key} differs between the path and the rest: give it in the path`,
        );
    // invoke checks it; the type is what a caller in this process would have to give.
    const input = { ...given, ...inPath } as OperationInput<typeof name>;
    return json(await invoke(name, input, caller));
  };
}

function subscription(context: Context<Env>): { after: number | null; session_id: string | null } {
  const lastEventId = context.req.header('last-event-id');
  const text = lastEventId !== undefined && lastEventId !== '' ? lastEventId : context.req.query('after');
  if (text !== undefined && !/^\d{1,15}$/.test(text))
    throw new DaemonError(
      'invalid_input',
      `after ${JSON.stringify(text.slice(0, 80))}: give the id of an event, a number`,
    );
  const session_id = context.req.query('session_id') ?? null;
  const fault = session_id === null ? null : sessionIdFault(session_id);
  if (fault !== null) throw new DaemonError('invalid_input', fault);
  return { after: text === undefined ? null : Number(text), session_id };
}

function healthNonce(context: Context<Env>): string | null {
  const nonce = context.req.query('nonce') ?? null;
  if (nonce !== null && !/^[A-Za-z0-9_-]{1,128}$/.test(nonce))
    throw new DaemonError('invalid_input', 'nonce: use 1 to 128 of A-Z a-z 0-9 _ -');
  return nonce;
}

function notFound(context: Context): Response {
  const message = `no route ${context.req.method} ${context.req.path.slice(0, 200)}: /openapi.json lists every route`;
  return answered(errorAnswer(new DaemonError('not_found', message)));
}

function answered({ status, headers, body }: Answer): Response {
  return new Response(body === '' ? null : body, { status, headers });
}

function file({ type, content }: PageFile): Response {
  return respond(content, type);
}

function json(value: object): Response {
  return jsonText(JSON.stringify(value));
}

function jsonText(text: string): Response {
  return respond(text, 'application/json; charset=utf-8');
}

function respond(body: string | Uint8Array<ArrayBuffer> | ReadableStream | null, type: string): Response {
  return new Response(body, { headers: { ...securityHeaders, 'content-type': type } });
}

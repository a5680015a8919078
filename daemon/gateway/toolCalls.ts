import { sessionIdFault } from '../../shared/ids.ts';
import type { ConversationKey } from '../records/callRecord.ts';
import { conversationOf } from './attribution.ts';
import type { CallFacts } from './calls.ts';
import type { ClientConnection } from './clientConnection.ts';
import type { InjectMode } from './injection.ts';
import { errorResponse, isRecord, type RequestMessage, resultResponse, rpcCode } from './message.ts';
import { metaKey, rewriteRequest } from './rewrite.ts';
import type { NoTarget, Routes, ToolTarget } from './routes.ts';
import type { CallerContext, Refused, Resolved } from './sessions.ts';

type Attributed = { conversation: ConversationKey | null; resolved: Resolved | Refused | null };

/** The way of a tool call: which session, refused or not, recorded, forwarded. */
export class ToolCalls {
  readonly #connection: ClientConnection;
  readonly #routes: Routes;

  constructor(connection: ClientConnection, routes: Routes) {
    this.#connection = connection;
    this.#routes = routes;
  }

  call(request: RequestMessage, origin: unknown): void {
    const name = request.params?.name;
    if (typeof name !== 'string') {
      const message = `tools/call needs a tool name, got ${JSON.stringify(name) ?? 'none'}`;
      this.#connection.send(errorResponse(request.id, rpcCode.invalidParams, message), origin);
      return;
    }
    const target = this.#routes.toolTarget(name);
    if ('fault' in target) {
      this.#unknown(request, origin, target);
      return;
    }
    const args = request.params?.arguments;
    const hasSession = isRecord(args) && Object.hasOwn(args, 'session_id');
    if (hasSession && !target.link.tools.has(target.tool) && target.link.tools.size === 0) {
      // whose session_id it is can be told from the tool's schema only
      target.link.learnTools().then(
        () => this.#attribute(request, origin, target),
        () => this.#attribute(request, origin, target), // the call itself will say what is wrong
      );
      return;
    }
    this.#attribute(request, origin, target);
  }

  #attribute(request: RequestMessage, origin: unknown, target: ToolTarget): void {
    const explicit = this.#explicitId(request, origin, target);
    const fault = explicit === undefined ? null : sessionIdFault(explicit.id);
    if (fault !== null) {
      this.#refuse(request, origin, target, fault);
      return;
    }
    const attributed = this.#resolve(request, explicit);
    if (attributed instanceof Promise) void attributed.then(found => this.#decide(request, origin, target, found));
    else this.#decide(request, origin, target, attributed);
  }

  /** The id that the caller gave: as an argument, else for the whole connection. */
  #explicitId(
    request: RequestMessage,
    origin: unknown,
    target: ToolTarget,
  ): { id: unknown; attribution: Resolved['attribution'] } | undefined {
    const args = request.params?.arguments;
    if (this.#takesSession(target) && isRecord(args)) {
      const given = args.session_id;
      // models fill optional arguments with null or "": that is leaving it out
      if (given !== undefined && given !== null && given !== '') return { id: given, attribution: 'explicit' };
    }
    return this.#connection.options.session(origin) ?? undefined;
  }

  /** Whether a `session_id` argument of this tool is the gateway's. */
  #takesSession(target: ToolTarget): boolean {
    const inject: InjectMode = target.link.spec.inject;
    return inject !== 'never' && target.link.tools.get(target.tool)?.ownsSession !== true;
  }

  #resolve(
    request: RequestMessage,
    explicit: { id: unknown; attribution: Resolved['attribution'] } | undefined,
  ): Attributed | Promise<Attributed> {
    const { context, facts } = this.#connection;
    const caller: CallerContext = { client: this.#connection.client, workspace: this.#connection.workspace };
    const meta = request.params?._meta;
    const found = conversationOf(isRecord(meta) ? meta : undefined, facts);
    const conversation = found?.conversation ?? null;
    const byConversation = (): Resolved | Promise<Resolved> | null =>
      found === null ? null : context.sessions.forConversation(found.conversation, found.attribution, caller);
    let resolved: Resolved | Refused | Promise<Resolved | Refused> | null;
    if (explicit === undefined) resolved = byConversation();
    else {
      const used = context.sessions.forExplicit(String(explicit.id), caller);
      const { attribution } = explicit;
      // an id of the environment is no one's wish for this call: where it can't be used the conversation decides
      const settle = (use: Resolved | Refused): Resolved | Refused | Promise<Resolved> => {
        if (attribution === 'explicit') return use;
        return 'refused' in use ? (byConversation() ?? use) : { ...use, attribution };
      };
      resolved = used instanceof Promise ? used.then(settle) : settle(used);
    }
    if (resolved instanceof Promise) return resolved.then(answer => ({ conversation, resolved: answer }));
    return { conversation, resolved };
  }

  #decide(request: RequestMessage, origin: unknown, target: ToolTarget, attributed: Attributed): void {
    const { conversation, resolved } = attributed;
    if (resolved !== null && 'refused' in resolved) {
      this.#refuse(request, origin, target, resolved.refused);
      return;
    }
    const facts = this.#facts(target.link.spec.name, target.tool, conversation, resolved);
    const { calls } = this.#connection;
    const call = calls.begin(facts);
    const change = {
      ...(request.params?.name === target.tool ? {} : { param: { path: ['name'], value: target.tool } }),
      dropSessionArgument: this.#takesSession(target),
      addMeta: resolved === null ? [] : [[metaKey.session, resolved.session_id] as const],
    };
    // where its upstream has to start first, which may take seconds or never come, the call is on record from its beginning
    const early = target.link.state !== 'ready';
    if (early) void calls.start(call, facts, rewriteRequest(request, { id: request.id, ...change }));
    this.#connection.forward(target.link, request, origin, {
      ...change,
      call,
      onForward: raw => (early ? undefined : calls.start(call, facts, raw)),
    });
  }

  #facts(server: string, tool: string, conversation: ConversationKey | null, resolved: Resolved | null): CallFacts {
    const { client, clientVersion, workspace } = this.#connection;
    return { server, tool, client, clientVersion, workspace, conversation, resolved };
  }

  /** A recorded call that never reaches the upstream: an `isError` result, so that the model reads why. */
  #refuse(request: RequestMessage, origin: unknown, target: ToolTarget, why: string): void {
    const facts = this.#facts(target.link.spec.name, target.tool, null, null);
    this.#unsent(request, facts, why, call =>
      this.#connection.send(
        resultResponse(request.id, {
          content: [{ type: 'text', text: why }],
          isError: true,
          _meta: { [metaKey.invocation]: call },
        }),
        origin,
      ),
    );
  }

  #unknown(request: RequestMessage, origin: unknown, target: NoTarget): void {
    const facts = this.#facts(target.server, target.tool, null, null);
    this.#unsent(request, facts, target.fault, () =>
      this.#connection.send(errorResponse(request.id, rpcCode.invalidParams, target.fault), origin),
    );
  }

  #unsent(request: RequestMessage, facts: CallFacts, why: string, answer: (invocationId: string) => void): void {
    const { calls } = this.#connection;
    const call = calls.begin(facts);
    void calls.start(call, facts, request.raw);
    this.#connection.finish(call, 'refused', why, null, () => answer(call.invocation_id));
  }
}

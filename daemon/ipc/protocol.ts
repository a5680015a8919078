import { DaemonError, type ErrorCode, errorTable } from '../../shared/errors.ts';
import type { Attribution } from '../../shared/invocation.ts';
import type { OwnCaller } from '../gateway/ownTools.ts';
import type { CallerContext, Refused, Usable } from '../gateway/sessions.ts';
import type { CallEnd, CallRecord, CallStart, ConversationKey } from '../records/callRecord.ts';

/** Version of the frames below; a peer of another one is refused. */
export const IPC_PROTOCOL = 1;

/** The part of a logger that is used here; pino's fits. */
export interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** What a stdio process asks the daemon; `mcp` carries a JSON-RPC message as its payload. */
export type Question =
  | { readonly ask: 'use_explicit'; readonly session_id: string; readonly context: CallerContext }
  | {
      readonly ask: 'resolve_conversation';
      readonly conversation: ConversationKey;
      readonly proposed: string;
      readonly context: CallerContext;
    }
  | { readonly ask: 'mcp'; readonly caller: OwnCaller };

export type ExplicitAnswer = Usable | Refused;
export interface ConversationAnswer {
  readonly session_id: string;
  readonly bound: boolean;
}

/**
 * A link is two connections: on `records` the daemon writes nothing after the handshake, so that what a process wrote
 * before it died is read to its end (a write to it would fail and take what is unread along); all else is on `questions`.
 */
export type LinkRole = 'records' | 'questions';

/** The first frame of a connection; `link` is the same random string on both connections of a link. */
export interface Hello {
  readonly t: 'hello';
  readonly protocol: number;
  readonly owner: string;
  readonly pid: number;
  readonly nonce: string;
  readonly role: LinkRole;
  readonly link: string;
}

/**
 * From a stdio process. It proves itself after the daemon has: `hello` (its nonce), `welcome` (the daemon's proof over that
 * nonce and its instance_id, and a nonce of its own), `prove` (the proof over that nonce and the owner). Records follow.
 */
export type ClientHeader =
  | Hello
  | { readonly t: 'prove'; readonly proof: string }
  | { readonly t: 'start'; readonly start: CallStart }
  | { readonly t: 'end'; readonly end: CallEnd }
  | { readonly t: 'question'; readonly id: number; readonly question: Question };

/** What changed, so that memory of it is dropped. */
export type Change = { readonly session_id: string } | { readonly conversation: ConversationKey };

export interface Welcome {
  readonly t: 'welcome';
  readonly protocol: number;
  readonly instance_id: string;
  readonly version: string;
  readonly durability: 'process' | 'power';
  readonly nonce: string;
  readonly proof: string;
}

/** From the daemon. `ack.records` counts the records of this link that are committed, from the link's beginning. */
export type ServerHeader =
  | Welcome
  | { readonly t: 'refused'; readonly code: ErrorCode; readonly message: string }
  | { readonly t: 'ack'; readonly records: number }
  | { readonly t: 'answer'; readonly id: number; readonly value: ExplicitAnswer | ConversationAnswer | null }
  | { readonly t: 'fault'; readonly id: number; readonly code: ErrorCode; readonly message: string }
  | { readonly t: 'changed'; readonly change: Change }
  /** The daemon stops because it was asked to. */
  | { readonly t: 'bye' };

type Fields = Readonly<Record<string, unknown>>;
const attributions: ReadonlySet<unknown> = new Set<Attribution>([
  'explicit',
  'meta',
  'environment',
  'hook',
  'binding',
  'inferred',
  'none',
]);
const endStatuses: ReadonlySet<unknown> = new Set<CallEnd['status']>([
  'completed',
  'failed',
  'cancelled',
  'timed_out',
  'interrupted',
  'refused',
]);

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null;
const isText = (value: unknown): value is string => typeof value === 'string';
const isTextOrNull = (value: unknown): value is string | null => value === null || typeof value === 'string';
const isContext = (value: unknown): value is CallerContext =>
  isFields(value) && isTextOrNull(value.client) && isTextOrNull(value.workspace);
const isConversation = (value: unknown): value is ConversationKey =>
  isFields(value) && isText(value.client) && isText(value.conversation_id);

function isCallStart(value: unknown): value is CallStart {
  return (
    isFields(value) &&
    isText(value.invocation_id) &&
    isTextOrNull(value.session_id) &&
    typeof value.provisional === 'boolean' &&
    attributions.has(value.attribution) &&
    (value.conversation === null || isConversation(value.conversation)) &&
    isTextOrNull(value.client) &&
    isTextOrNull(value.client_version) &&
    isTextOrNull(value.workspace) &&
    isText(value.server) &&
    isText(value.tool) &&
    typeof value.started_at === 'number' &&
    isText(value.owner)
  );
}

function isCallEnd(value: unknown): value is CallEnd {
  return (
    isFields(value) &&
    isText(value.invocation_id) &&
    endStatuses.has(value.status) &&
    typeof value.ended_at === 'number' &&
    typeof value.duration_ms === 'number' &&
    isTextOrNull(value.error_message)
  );
}

function isQuestion(value: unknown): value is Question {
  if (!isFields(value)) return false;
  if (value.ask === 'use_explicit') return isText(value.session_id) && isContext(value.context);
  if (value.ask === 'resolve_conversation')
    return isConversation(value.conversation) && isText(value.proposed) && isContext(value.context);
  return (
    value.ask === 'mcp' &&
    isContext(value.caller) &&
    'conversation' in value.caller &&
    (value.caller.conversation === null || isConversation(value.caller.conversation))
  );
}

function isClientHeader(value: unknown): value is ClientHeader {
  if (!isFields(value)) return false;
  switch (value.t) {
    case 'start':
      return isCallStart(value.start);
    case 'end':
      return isCallEnd(value.end);
    case 'question':
      return typeof value.id === 'number' && isQuestion(value.question);
    case 'hello':
      return (
        typeof value.protocol === 'number' &&
        [value.owner, value.nonce, value.link].every(isText) &&
        isPid(value.pid) &&
        (value.role === 'records' || value.role === 'questions')
      );
    case 'prove':
      return isText(value.proof);
    default:
      return false;
  }
}
const isPid = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) > 0;
const isCode = (value: unknown): value is ErrorCode => isText(value) && Object.hasOwn(errorTable, value);

function isServerHeader(value: unknown): value is ServerHeader {
  if (!isFields(value)) return false;
  switch (value.t) {
    case 'ack':
      return typeof value.records === 'number';
    case 'answer':
      return (
        typeof value.id === 'number' &&
        (value.value === null ||
          (isFields(value.value) && (isText(value.value.session_id) || isText(value.value.refused))))
      );
    case 'fault':
      return typeof value.id === 'number' && isCode(value.code) && isText(value.message);
    case 'changed':
      return isFields(value.change) && (isText(value.change.session_id) || isConversation(value.change.conversation));
    case 'welcome':
      return (
        typeof value.protocol === 'number' &&
        [value.instance_id, value.version, value.nonce, value.proof].every(isText) &&
        (value.durability === 'process' || value.durability === 'power')
      );
    case 'refused':
      return isCode(value.code) && isText(value.message);
    default:
      return value.t === 'bye';
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new DaemonError('invalid_input', `the header ${JSON.stringify(text.slice(0, 80))} is no JSON: close`, {
      cause,
    });
  }
}
function unknownHeader(text: string): DaemonError {
  return new DaemonError('invalid_input', `the header ${JSON.stringify(text.slice(0, 200))} is not known: close`);
}

/** Reads a header that a stdio process sent; throws `invalid_input`. */
export function parseClientHeader(text: string): ClientHeader {
  const value = parse(text);
  if (isClientHeader(value)) return value;
  throw unknownHeader(text);
}

/** Reads a header that the daemon sent; throws `invalid_input`. */
export function parseServerHeader(text: string): ServerHeader {
  const value = parse(text);
  if (isServerHeader(value)) return value;
  throw unknownHeader(text);
}

/** The record in a start or end frame, null in any other. An empty payload is an end without a response. */
export function toCallRecord(header: ClientHeader, payload: Uint8Array): CallRecord | null {
  if (header.t === 'start') return { kind: 'start', start: header.start, message: payload };
  if (header.t === 'end') return { kind: 'end', end: header.end, message: payload.length > 0 ? payload : null };
  return null;
}

import { v7 } from 'uuid';
import type { CallEnd, CallRecord, CallStart } from '../../daemon/records/callRecord.ts';

/** A start as a gateway hands it over; what matters to a test is given. */
export function start(given: Partial<CallStart> = {}, params: unknown = { name: 'read', arguments: { path: '/x' } }) {
  const call: CallStart = {
    invocation_id: v7(),
    session_id: null,
    provisional: false,
    attribution: 'meta',
    conversation: null,
    client: 'claude-code',
    client_version: '2.1.0',
    workspace: null,
    server: 'files',
    tool: 'read',
    started_at: Date.now(),
    owner: '1-owner',
    ...given,
  };
  const message = bytes(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params }));
  return { kind: 'start', start: call, message } satisfies CallRecord;
}

/** The end of that start. */
export function end(
  of: { start: CallStart },
  given: Partial<CallEnd> = {},
  answer: unknown = { result: { content: [] } },
) {
  const call: CallEnd = {
    invocation_id: of.start.invocation_id,
    status: 'completed',
    ended_at: of.start.started_at + 5,
    duration_ms: 5,
    error_message: null,
    ...given,
  };
  const text = JSON.stringify({ jsonrpc: '2.0', id: 1, ...(typeof answer === 'object' ? answer : {}) });
  return { kind: 'end', end: call, message: bytes(text) } satisfies CallRecord;
}

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** A moment, as the wire has it. */
export function at(ms: number): string {
  return new Date(ms).toISOString();
}

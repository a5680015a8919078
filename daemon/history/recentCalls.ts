import * as z from 'zod';
import type { Invocation } from '../../shared/invocation.ts';
import type { OperationArguments } from '../../shared/operations/table.ts';
import type { InvocationText } from '../store/sqlite/reader.ts';
import { PARTS, type PartTexts } from '../store/sqlite/rows.ts';
import type { Page } from '../store/store.ts';
import { hasRecord } from './callFolder.ts';

/** What is read of the store to see whether recent calls are on disk. */
export interface RecentSource {
  listInvocations(filter: OperationArguments<'invocations_list'>): Page<Invocation>;
  /** The call with its parts, as JSON text. */
  invocationJson(invocation_id: string): string;
}

/** Systems write files out within about 30 s: a power cut takes what is younger, though the store has it marked. */
const UNSAFE_MS = 60_000;
const MOST = 5000;
const PAGE = 500;

/** The calls of the last minute of work that are marked as written but whose record is gone or empty. */
export function* lostCalls(historyDir: string, source: RecentSource): Generator<InvocationText> {
  let newest: number | null = null;
  let cursor: string | undefined;
  for (let seen = 0; seen < MOST; seen += PAGE) {
    const page = source.listInvocations({ limit: PAGE, ...(cursor === undefined ? {} : { cursor }) });
    for (const call of page.items) {
      const started = Date.parse(call.started_at);
      newest ??= started;
      if (started < newest - UNSAFE_MS) return;
      if (call.history_dir === null || hasRecord(historyDir, call.history_dir, call.invocation_id)) continue;
      yield { invocation: call, parts: partsOf(source.invocationJson(call.invocation_id)) };
    }
    if (page.next_cursor === null) return;
    cursor = page.next_cursor;
  }
}

const parts = z.object({ arguments: z.unknown(), meta: z.unknown(), result: z.unknown(), error: z.unknown() });

function partsOf(json: string): PartTexts {
  const detail = parts.parse(JSON.parse(json));
  const texts: PartTexts = { arguments: null, meta: null, result: null, error: null };
  for (const part of PARTS) texts[part] = detail[part] === null ? null : JSON.stringify(detail[part]);
  return texts;
}

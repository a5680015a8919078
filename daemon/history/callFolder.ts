import { join } from 'node:path';
import type { InvocationText } from '../store/sqlite/reader.ts';
import { PARTS } from '../store/sqlite/rows.ts';
import { isRealFolder, makeFolder, readHead, removeFile, replaceFile, writeNew } from './files.ts';
import { folderName } from './folderName.ts';

/** A part larger than this stands in a file beside the record. */
const BIG_BYTES = 256 * 1024;

const RECORD = 'record.jsonl';

/** The place after the last call folder: calls of one millisecond get their counters without trying those that are taken. */
export interface Place {
  started_at: string;
  counter: number;
}

/**
 * Writes the folder of a call below `historyDir` and returns its name; moves `place` on. The folder holds `record.jsonl`, whose first line
 * is the InvocationDetail; a part over 256 KiB is a file beside it (`result.json`) and `{"$file", "bytes"}` in the line. A
 * folder that has this call already, or that was left without a record, is written again; another call's is left alone.
 */
export function writeCallFolder(historyDir: string, call: InvocationText, place: Place): string {
  const { invocation_id, started_at, server, tool } = call.invocation;
  if (place.started_at !== started_at) {
    place.started_at = started_at;
    place.counter = 0;
  }
  while (true) {
    const name = folderName(started_at, server, tool, place.counter);
    place.counter += 1;
    const folder = join(historyDir, name);
    if (makeFolder(folder)) {
      writeFresh(folder, name, call);
      return name;
    }
    // A link or a file of that name is not ours.
    if (!isRealFolder(folder)) continue;
    const owner = recordedId(folder);
    if (owner !== null && owner !== invocation_id) continue;
    rewrite(folder, name, call);
    return name;
  }
}

/** True when the folder has a record that begins as the one of this call. */
export function hasRecord(historyDir: string, history_dir: string, invocation_id: string): boolean {
  return recordedId(join(historyDir, history_dir)) === invocation_id;
}

function recordedId(folder: string): string | null {
  // The id is the first member of the line, always.
  const head = readHead(join(folder, RECORD), 64) ?? '';
  return /^\{"invocation_id":"([^"]*)"/.exec(head)?.[1] ?? null;
}

function writeFresh(folder: string, name: string, call: InvocationText): void {
  for (const part of PARTS) {
    const text = call.parts[part];
    if (isBig(text)) writeNew(join(folder, `${part}.json`), text);
  }
  writeNew(join(folder, RECORD), recordLine(name, call));
}

function rewrite(folder: string, name: string, call: InvocationText): void {
  for (const part of PARTS) {
    const text = call.parts[part];
    if (isBig(text)) replaceFile(folder, `${part}.json`, text);
  }
  replaceFile(folder, RECORD, recordLine(name, call));
  for (const part of PARTS) if (!isBig(call.parts[part])) removeFile(join(folder, `${part}.json`));
}

function recordLine(name: string, { invocation, parts }: InvocationText): string {
  const summary = JSON.stringify({ ...invocation, history_dir: name });
  return `${summary.slice(0, -1)},${PARTS.map(part => `"${part}":${shown(part, parts[part])}`).join(',')}}\n`;
}

function shown(part: string, text: string | null): string {
  return isBig(text) ? `{"$file":"${part}.json","bytes":${Buffer.byteLength(text)}}` : (text ?? 'null');
}

function isBig(text: string | null): text is string {
  // UTF-8 takes at most three bytes a UTF-16 unit: short texts are not measured.
  return text !== null && text.length * 3 > BIG_BYTES && Buffer.byteLength(text) > BIG_BYTES;
}

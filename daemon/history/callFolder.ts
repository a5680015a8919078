import { join } from 'node:path';
import type { InvocationText } from '../store/sqlite/reader.ts';
import { PARTS } from '../store/sqlite/rows.ts';
import { isRealFolder, makeFolder, readHead, removeFile, replaceFile, writeNew } from './files.ts';
import { folderName } from './folderName.ts';

/** A part larger than this stands in a file beside the record. */
const BIG_BYTES = 256 * 1024;

const RECORD = 'record.jsonl';

/** What is known of the folders of one millisecond, so that its calls get theirs without trying each that is taken. */
export class Place {
  readonly started_at: string;
  /** The counter after the last one tried, by server and tool. */
  readonly next = new Map<string, number>();
  /** The folder of each call that was met on the way, by its id. */
  readonly folders = new Map<string, string>();

  constructor(started_at: string) {
    this.started_at = started_at;
  }
}

/**
 * Writes the folder of a call below `historyDir` and returns its name; `place` is that of its started_at. The folder holds `record.jsonl`, whose first line
 * is the InvocationDetail; a part over 256 KiB is a file beside it (`result.json`) and `{"$file", "bytes"}` in the line. A
 * folder that has this call already, or that was left without a record, is written again; another call's is left alone.
 */
export function writeCallFolder(historyDir: string, call: InvocationText, place: Place): string {
  const { invocation_id, started_at, server, tool } = call.invocation;
  const known = place.folders.get(invocation_id);
  if (known !== undefined && writeInto(historyDir, known, call) === invocation_id) return known;
  const key = `${server}__${tool}`;
  for (let counter = place.next.get(key) ?? 0; ; counter++) {
    const name = folderName(started_at, server, tool, counter);
    const owner = writeInto(historyDir, name, call);
    place.next.set(key, counter + 1);
    if (owner !== null) place.folders.set(owner, name);
    if (owner === invocation_id) return name;
  }
}

/** Writes the call unless the folder is another's; returns whose it is then, null for a link or a file of that name. */
function writeInto(historyDir: string, name: string, call: InvocationText): string | null {
  const { invocation_id } = call.invocation;
  const folder = join(historyDir, name);
  if (makeFolder(folder)) {
    writeFresh(folder, name, call);
    return invocation_id;
  }
  if (!isRealFolder(folder)) return null;
  const owner = recordedId(folder);
  if (owner !== null && owner !== invocation_id) return owner;
  rewrite(folder, name, call);
  return invocation_id;
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

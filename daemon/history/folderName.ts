/** Longest name of server and tool in a folder name, in characters and in bytes: eCryptfs allows 143 bytes in all. */
const LONGEST = 80;
const LONGEST_BYTES = 110;

/**
 * Name of the folder of a call below .history: `2026-11-21_14-23-45_123456_git__status`. UTC time of `started_at`
 * (ISO 8601 with milliseconds), then `counter`, which parts calls of one tool in one millisecond, then server and tool.
 */
export function folderName(started_at: string, server: string, tool: string, counter: number): string {
  const time = `${started_at.slice(0, 10)}_${started_at.slice(11, 19).replaceAll(':', '-')}_${started_at.slice(20, 23)}`;
  return `${time}${String(counter).padStart(3, '0')}_${safeName(`${server}__${tool}`)}`;
}

/** The part of any text that may stand in a file name on every system: letters, digits, `_`, `-` and single dots. */
export function safeName(text: string): string {
  const safe = /^[A-Za-z0-9_-]{1,80}$/.test(text) ? text : mend(text);
  return safe === '' ? '_' : safe;
}

function mend(text: string): string {
  let safe = '';
  let bytes = 0;
  const clean = text
    // Normalising and matching cost by length, and a tool's name may be of any.
    .slice(0, 4 * LONGEST)
    .normalize('NFC')
    .replace(/[^\p{L}\p{N}\p{M}._-]+/gu, '_')
    .replace(/\.{2,}/g, '_')
    .replace(/^\.+/, '');
  for (const character of clean) {
    bytes += Buffer.byteLength(character);
    if (safe.length + character.length > LONGEST || bytes > LONGEST_BYTES) break;
    safe += character;
  }
  // Windows drops a dot at the end.
  return safe.replace(/\.+$/, '');
}

/** Name of the folder of a session below .sessions; `taken` grows while another session has the name. */
export function sessionFolderName(session_id: string, taken: number): string {
  // "~" is in no session id, so that these names collide with none.
  if (taken > 0) return `${session_id}~${taken + 1}`;
  return /^(con|prn|aux|nul|com\d|lpt\d)$/i.test(session_id) ? `${session_id}~` : session_id;
}

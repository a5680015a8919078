/** One server-sent event. `id` is the last id seen, also that of a frame without data. */
export interface SseMessage {
  readonly event: string;
  readonly data: string;
  readonly id: string | null;
}

const LONGEST_FRAME = 64 * 1024 * 1024;

/**
 * An incremental reader of the `text/event-stream` format (HTML standard, 9.2.6): give it decoded text as it comes, get
 * the messages that are complete. Written here because shared imports zod only. Throws when a frame passes 64 MiB.
 */
export function createSseReader(): { push(text: string): SseMessage[]; lastId(): string | null } {
  let chunks: string[] = [];
  let waiting = 0;
  let skipLineFeed = false;
  let event = '';
  let data: string[] = [];
  let idBuffer: string | null = null;
  let lastId: string | null = null;

  function field(line: string): void {
    const colon = line.indexOf(':');
    if (colon === 0) return;
    const name = colon === -1 ? line : line.slice(0, colon);
    const raw = colon === -1 ? '' : line.slice(colon + 1);
    const value = raw.startsWith(' ') ? raw.slice(1) : raw;
    if (name === 'event') event = value;
    else if (name === 'data') data.push(value);
    else if (name === 'id' && !value.includes('\0')) idBuffer = value;
  }

  function dispatch(out: SseMessage[]): void {
    lastId = idBuffer;
    if (data.length > 0) out.push({ event: event || 'message', data: data.join('\n'), id: lastId });
    event = '';
    data = [];
    waiting = 0;
  }

  return {
    lastId: () => lastId,
    push(text) {
      const out: SseMessage[] = [];
      let from = 0;
      if (skipLineFeed && text.startsWith('\n')) from = 1;
      if (text !== '') skipLineFeed = false;
      for (let at = from; at < text.length; at++) {
        const char = text.charCodeAt(at);
        if (char !== 10 && char !== 13) continue;
        const line = chunks.join('') + text.slice(from, at);
        chunks = [];
        if (char === 13) {
          if (at + 1 === text.length) skipLineFeed = true;
          else if (text.charCodeAt(at + 1) === 10) at++;
        }
        from = at + 1;
        waiting += line.length;
        if (line === '') dispatch(out);
        else field(line);
      }
      if (from < text.length) chunks.push(text.slice(from));
      waiting += text.length - from;
      if (waiting > LONGEST_FRAME) throw new RangeError(`an event of more than ${LONGEST_FRAME} characters`);
      return out;
    },
  };
}

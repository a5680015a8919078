type Frame = { closing: string; depth: number; entries: Iterator<[string | null, unknown]>; first: boolean };

const DEEPEST_INDENT = 40;

/**
 * Prints a parsed JSON value with two spaces a level, up to `limit` characters. It neither recurses nor indents without
 * bound, so a value nested 50,000 levels deep is as safe as a flat one.
 */
export function prettyJson(value: unknown, limit: number): { text: string; truncated: boolean } {
  const out: string[] = [];
  let length = 0;
  const stack: Frame[] = [];
  const write = (text: string) => {
    out.push(text);
    length += text.length;
  };
  const open = (item: unknown) => {
    if (item === null || typeof item !== 'object') return write(scalar(item, limit - length));
    const list = Array.isArray(item);
    const entries = list ? item.map((one): [null, unknown] => [null, one]) : Object.entries(item);
    if (entries.length === 0) return write(list ? '[]' : '{}');
    write(list ? '[' : '{');
    stack.push({ closing: list ? ']' : '}', depth: stack.length + 1, entries: entries.values(), first: true });
  };
  open(value);
  while (stack.length > 0 && length <= limit) {
    const frame = stack[stack.length - 1];
    if (frame === undefined) break;
    const next = frame.entries.next();
    if (next.done) {
      stack.pop();
      write(`\n${indent(frame.depth - 1)}${frame.closing}`);
      continue;
    }
    const [key, item] = next.value;
    write(`${frame.first ? '' : ','}\n${indent(frame.depth)}${key === null ? '' : `${JSON.stringify(key)}: `}`);
    frame.first = false;
    open(item);
  }
  const text = out.join('');
  return length > limit || stack.length > 0
    ? { text: text.slice(0, limit), truncated: true }
    : { text, truncated: false };
}

function scalar(item: unknown, room: number): string {
  if (typeof item !== 'string' || item.length <= room) return JSON.stringify(item) ?? 'null';
  return JSON.stringify(item.slice(0, Math.max(0, room) + 1));
}

function indent(depth: number): string {
  return '  '.repeat(Math.min(depth, DEEPEST_INDENT));
}

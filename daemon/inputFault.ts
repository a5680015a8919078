import type * as z from 'zod';

type Issue = z.core.$ZodIssue;
type Path = readonly PropertyKey[];

const SHOWN_ISSUES = 5;
const SHOWN_LENGTH = 80;
const DEEPEST = 100;
/** Free text may have line breaks; every other string is an id, a name or a path. */
const FREE_TEXT = new Set(['purpose', 'text']);
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: the same, but for tab and line breaks
const CONTROL_IN_TEXT = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/;

/** Says in one line what zod found wrong: each field with its value (shortened) and the rule that it breaks. */
export function describeIssues(issues: readonly Issue[], input: unknown, known: readonly string[]): string {
  const lines = issues.flatMap(issue => describe(issue, [], input, known));
  const more = lines.length > SHOWN_ISSUES ? `; and ${lines.length - SHOWN_ISSUES} more` : '';
  return lines.slice(0, SHOWN_ISSUES).join('; ') + more;
}

/** Says what no schema can: nesting beyond 100 levels, lone surrogates, and control characters in ids and names. */
export function rawFault(input: unknown): string | null {
  if (typeof input !== 'object' || input === null) return null;
  const deep = nestingFault(input);
  if (deep !== null) return deep;
  for (const [key, value] of Object.entries(input)) {
    const fault = Array.isArray(value)
      ? value.map((item, index) => stringFault(`${key}[${index}]`, key, item)).find(found => found !== null)
      : stringFault(key, key, value);
    if (fault) return fault;
  }
  return null;
}

/** A value as it may stand in a message: one line of JSON, shortened. */
export function shown(value: unknown): string {
  const text = typeof value === 'bigint' ? String(value) : (JSON.stringify(value) ?? String(value));
  return text.length > SHOWN_LENGTH ? `${text.slice(0, SHOWN_LENGTH).toWellFormed()}…` : text;
}

function describe(issue: Issue, above: Path, input: unknown, known: readonly string[]): string[] {
  const path = [...above, ...issue.path];
  if (issue.code === 'invalid_union') {
    // The branch that came furthest is the one that was meant: a server with a `command` is told of its `env`, not of `url`.
    const value = valueAt(input, path);
    const branches = [...issue.errors].sort((a, b) => missing(a, value) - missing(b, value));
    const meant = branches[0];
    if (meant) return meant.flatMap(inner => describe(inner, path, input, known));
  }
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map(key => `${shown(key)} is not known here${known.length ? `: use ${known.join(', ')}` : ''}`);
  const name = pathText(path);
  const value = valueAt(input, path);
  if (value === undefined) return [`${name || 'input'} is missing: it is required`];
  const secret = path.some(key => key === 'env' || key === 'headers');
  return [`${name || 'input'} ${secret ? '(not shown)' : shown(value)}: ${rule(issue)}`];
}

function missing(issues: readonly Issue[], value: unknown): number {
  return issues.filter(issue => issue.path.length > 0 && valueAt(value, issue.path) === undefined).length;
}

function rule(issue: Issue): string {
  if (issue.code === 'invalid_format' && issue.format === 'datetime')
    return 'use ISO 8601 UTC with milliseconds, like 2026-11-21T09:30:00.000Z';
  if (issue.code === 'invalid_format' && issue.format === 'uuid') return 'use a UUID';
  if (issue.code === 'invalid_value') return `use one of ${issue.values.map(String).join(', ')}`;
  return issue.message.replace(/^(Invalid input|Too small|Too big): /, '');
}

function valueAt(input: unknown, path: Path): unknown {
  let value = input;
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = Reflect.get(value, key);
  }
  return value;
}

function pathText(path: Path): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`;
    return text === '' ? String(key) : `${text}.${String(key)}`;
  }, '');
}

function stringFault(name: string, key: string, value: unknown): string | null {
  if (typeof value !== 'string') return null;
  if (!value.isWellFormed()) return `${name} ${shown(value)}: has half of a surrogate pair; send whole characters`;
  const free = FREE_TEXT.has(key);
  if (!(free ? CONTROL_IN_TEXT : CONTROL).test(value)) return null;
  return `${name} ${shown(value)}: has control characters; take them out`;
}

/** Walks without recursion, so that no depth of nesting ends the process. */
function nestingFault(input: object): string | null {
  let level: object[] = [input];
  for (let depth = 1; level.length > 0; depth++) {
    if (depth > DEEPEST) return `input is nested more than ${DEEPEST} levels deep: flatten it`;
    const next: object[] = [];
    for (const node of level) {
      if (Object.hasOwn(node, '__proto__')) return 'input has a member named "__proto__": use another name';
      for (const value of Object.values(node)) if (typeof value === 'object' && value !== null) next.push(value);
    }
    level = next;
  }
  return null;
}

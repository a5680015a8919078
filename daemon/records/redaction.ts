/**
 * Takes secrets out of text before it is first written. Rules, with the kind that is left as `[redacted:kind]`:
 * - provider keys, known by their prefix: `anthropic-key` (sk-ant-), `openai-key` (sk-… with a digit), `aws-key` (AKIA,
 *   ASIA), `github-token` (ghp_, gho_, ghu_, ghs_, ghr_, github_pat_), `gitlab-token` (glpat-), `slack-token` (xox?-),
 *   `google-key` (AIza), `npm-token` (npm_), `stripe-key` (sk_live_, rk_live_);
 * - `jwt`: three base64url parts of which two begin with `eyJ`; `private-key`: a PEM block;
 * - `authorization`: what follows `Authorization: Bearer` or `Basic`, and a bearer token by itself when it is long;
 * - `url-password`: the password of `scheme://user:password@host`;
 * - `member`: a string value, not empty, of a JSON member called password, passwd, secret, token, api_key, access_token,
 *   refresh_token, client_secret, private_key or authorization (any case, `-`, `_` or nothing between the words), or whose
 *   name is CAPITALS that end in one of them; also where the JSON stands, escaped, inside a JSON string;
 * - `variable`: the value in NAME=value where NAME is CAPITALS ending in TOKEN, SECRET, PASSWORD, PASSWD or KEY.
 *
 * What is JSON stays JSON: no rule takes a quote, nor part of an escape.
 */

export interface Redacted {
  readonly text: string;
  readonly count: number;
}

const WORDS = [
  'passw(?:or)?d',
  'secret',
  'token',
  'api[_-]?key',
  'access[_-]?token',
  'refresh[_-]?token',
  'client[_-]?secret',
  'private[_-]?key',
  'authorization',
].join('|');

/** Before a token: the text's start, no letter or digit, or the last character of a JSON escape. */
const BEGIN = String.raw`(?:(?<![A-Za-z0-9])|(?<=\\[nrtbf])|(?<=\\u[0-9A-Fa-f]{4}))`;

/**
 * Finds out that there is nothing to do. Alternatives begin with a character that is rare in prose and look back from
 * there, and those that can't are by themselves: together they take five times as long.
 */
const GATES: readonly RegExp[] = [
  new RegExp(
    [
      '[-_](?<=(?:sk|gh[pousr]|_pat|glpat|xox[abeoprs]|npm|k_live|PRIVATE KEY)[-_])(?=[-_A-Za-z0-9]{4})',
      'A(?:[KS]IA[A-Z0-9]{16}|Iza[A-Za-z0-9_-]{30})',
      String.raw`J(?<=eyJ)(?=[A-Za-z0-9_-]{8,1024}\.)`,
      String.raw`@(?<=:[^\s@/"]{1,256}@)`,
      '=(?<=(?:TOKEN|SECRET|PASSW(?:OR)?D|KEY)=)',
    ].join('|'),
  ),
  /bearer\s{1,8}[^\s"]{4}/i,
  /authorization[^a-z]{1,48}basic\s/i,
  /"(?<=(?:passw(?:or)?d|secret|token|key|authorization)\\{0,15}")(?=\s{0,64}:)/i,
];

interface Rule {
  readonly kind: string;
  readonly pattern: RegExp;
}

/** A rule's first group, where it has one, is kept before the mark. */
const RULES: readonly Rule[] = [
  {
    kind: 'private-key',
    pattern:
      /-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----(?:[A-Za-z0-9+/=:, \r\n]|-(?!----)|\\{1,15}[nrt])*(?:-----END [A-Z ]{0,40}PRIVATE KEY-----)?/g,
  },
  { kind: 'anthropic-key', pattern: token('sk-ant-[A-Za-z0-9_-]{16,}') },
  { kind: 'openai-key', pattern: token('sk-(?=[A-Za-z_-]{0,64}[0-9])[A-Za-z0-9_-]{20,}') },
  { kind: 'stripe-key', pattern: token('[sr]k_live_[A-Za-z0-9]{16,}') },
  { kind: 'aws-key', pattern: token('A(?:KIA|SIA)[A-Z0-9]{16}(?![A-Za-z0-9])') },
  { kind: 'github-token', pattern: token('(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,})') },
  { kind: 'gitlab-token', pattern: token('glpat-[A-Za-z0-9_-]{16,}') },
  { kind: 'slack-token', pattern: token('xox[abeoprs]-[A-Za-z0-9-]{10,}') },
  { kind: 'google-key', pattern: token('AIza[A-Za-z0-9_-]{30,}') },
  { kind: 'npm-token', pattern: token('npm_[A-Za-z0-9]{30,}') },
  { kind: 'jwt', pattern: token(String.raw`eyJ[A-Za-z0-9_-]{8,1024}\.eyJ[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*`) },
  {
    kind: 'authorization',
    pattern: /(authorization\\{0,15}["']?\s{0,8}[:=]\s{0,8}\\{0,15}["']?(?:bearer|basic)\s{1,8})[A-Za-z0-9._~+/=-]+/gi,
  },
  { kind: 'authorization', pattern: /(\bbearer\s{1,8})(?=[A-Za-z._~+/-]{0,64}[0-9])[A-Za-z0-9._~+/-]{20,}={0,2}/gi },
  { kind: 'url-password', pattern: /(:\\{0,15}\/\\{0,15}\/[^\s/@:"'\\<>]{0,256}:)[^\s/@"'\\<>[]{1,256}(?=@)/g },
  { kind: 'variable', pattern: /((?:TOKEN|SECRET|PASSW(?:OR)?D|KEY)=)[^\s"'\\$<>&;,[(){}]{6,}/g },
];

const MEMBER = new RegExp(
  String.raw`(?<!\\)(\\{0,15})"(?:${WORDS}|[A-Z0-9_]{1,64}_(?:TOKEN|SECRET|PASSWORD|PASSWD|KEY))\1"\s{0,64}:\s{0,64}\1"`,
  'gi',
);
const MARK = '[redacted:';

/** Replaces each secret by `[redacted:kind]`; says how many there were. Text without one is returned as it is. */
export function redact(text: string): Redacted {
  if (!GATES.some(gate => gate.test(text))) return { text, count: 0 };
  let count = 0;
  let result = redactMembers(text, () => count++);
  for (const { kind, pattern } of RULES)
    result = result.replace(pattern, (_whole: string, kept: unknown) => {
      count++;
      return `${typeof kept === 'string' ? kept : ''}${MARK}${kind}]`;
    });
  return count === 0 ? { text, count } : { text: result, count };
}

/** Whether secrets were taken out of the text before, as they are of what is spooled. */
export function wasRedacted(text: string): boolean {
  return text.includes(MARK);
}

function token(pattern: string): RegExp {
  return new RegExp(`${BEGIN}${pattern}`, 'g');
}

function redactMembers(text: string, found: () => void): string {
  let result = '';
  let copied = 0;
  MEMBER.lastIndex = 0;
  for (let match = MEMBER.exec(text); match; match = MEMBER.exec(text)) {
    const start = match.index + match[0].length;
    const end = endOfValue(text, start, match[1]?.length ?? 0);
    if (end > start && !text.startsWith(MARK, start)) {
      result += `${text.slice(copied, start)}${MARK}member]`;
      copied = end;
      found();
    }
    MEMBER.lastIndex = Math.max(end, start);
  }
  return copied === 0 ? text : result + text.slice(copied);
}

/** Where the string value that begins at `start` ends, its quotes being escaped by `slashes` backslashes. */
function endOfValue(text: string, start: number, slashes: number): number {
  for (let quote = text.indexOf('"', start); quote !== -1; quote = text.indexOf('"', quote + 1)) {
    let before = 0;
    while (quote - before > start && text[quote - before - 1] === '\\') before++;
    const closed = closes(before, slashes);
    if (closed !== null) return closed ? quote - slashes : quote - before;
  }
  return start;
}

/** Whether a quote after `before` backslashes ends the value (true), the string around it (null: not), or neither. */
function closes(before: number, slashes: number): boolean | null {
  let [m, n] = [before, slashes];
  while (n > 0) {
    if (m % 2 === 0) return false;
    m = (m - 1) / 2;
    n = (n - 1) / 2;
  }
  return m % 2 === 0 ? true : null;
}

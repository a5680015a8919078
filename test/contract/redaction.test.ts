import assert from 'node:assert/strict';
import fc from 'fast-check';
import { redact } from '../../daemon/records/redaction.ts';

// Put together here, so that no scanner of this repository takes them for real ones.
const body = 'Ab3dEf6hIj9kLm2nOp5qRs8tUv1wXy4zAb3dEf6h';
const secrets: Record<string, [secret: string, kind: string][]> = {
  'a provider key': [
    [`sk-${'ant'}-api03-${body}`, 'anthropic-key'],
    [`sk-${'proj'}-${body}`, 'openai-key'],
    [`sk-${body}`, 'openai-key'],
    [`sk_${'live'}_${body}`, 'stripe-key'],
    [`AK${'IA'}ABCDEFGHIJ234567`, 'aws-key'],
    [`AS${'IA'}ABCDEFGHIJ234567`, 'aws-key'],
    [`gh${'p'}_${body}`, 'github-token'],
    [`gh${'o'}_${body}`, 'github-token'],
    [`github${'_pat'}_${body}`, 'github-token'],
    [`gl${'pat'}-${body}`, 'gitlab-token'],
    [`xo${'xb'}-1234567890-${body}`, 'slack-token'],
    [`AI${'za'}${body.slice(0, 35)}`, 'google-key'],
    [`np${'m'}_${body}`, 'npm-token'],
    [`ey${'J'}hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.${body}`, 'jwt'],
  ],
};

describe('redaction', () => {
  for (const [name, cases] of Object.entries(secrets))
    for (const [secret, kind] of cases)
      it(`takes out ${name}: ${kind} ${secret.slice(0, 6)}`, () => {
        for (const text of [
          secret,
          `see ${secret}, ok`,
          JSON.stringify({ a: `x\n${secret}`, b: [`\t${secret}\u0001`] }),
        ]) {
          const { text: clean, count } = redact(text);
          assert.ok(!clean.includes(secret.slice(0, 20)), clean);
          assert.ok(clean.includes(`[redacted:${kind}]`), clean);
          assert.ok(count > 0);
        }
        const json = JSON.stringify({ line: `one\n${secret}\ntwo` });
        assert.deepEqual(JSON.parse(redact(json).text), { line: `one\n[redacted:${kind}]\ntwo` });
      });

  const texts: [what: string, text: string, clean: string][] = [
    ['a bearer header', 'Authorization: Bearer abc.def', 'Authorization: Bearer [redacted:authorization]'],
    ['a basic header', 'authorization: basic dXNlcjpwYXNz', 'authorization: basic [redacted:authorization]'],
    ['a bearer token by itself', `curl -H "X: Bearer ${body}"`, 'curl -H "X: Bearer [redacted:authorization]"'],
    ['the password of a URL', 'postgres://app:hunter2@db/x', 'postgres://app:[redacted:url-password]@db/x'],
    ['a variable', 'export DB_PASSWORD=hunter22\nX=1', 'export DB_PASSWORD=[redacted:variable]\nX=1'],
    ['a member', '{"password":"hunter2","n":1}', '{"password":"[redacted:member]","n":1}'],
    ['a member with spaces', '{"API_KEY" : "x\\"y\\\\"}', '{"API_KEY" : "[redacted:member]"}'],
    [
      'a member in camel case',
      '{"clientSecret":"x","accessToken":"y"}',
      '{"clientSecret":"[redacted:member]","accessToken":"[redacted:member]"}',
    ],
    ['a member in capitals', '{"GITHUB_TOKEN":"x"}', '{"GITHUB_TOKEN":"[redacted:member]"}'],
  ];
  for (const [what, text, clean] of texts) it(`takes out ${what}`, () => assert.equal(redact(text).text, clean));

  it('takes out a PEM private key, also when its end is missing', () => {
    const lines = `-----BEGIN RSA PRIVATE KEY-----\n${body}\n${body}\n`;
    const whole = `${lines}-----END RSA PRIVATE KEY-----`;
    for (const pem of [whole, lines])
      assert.deepEqual(JSON.parse(redact(JSON.stringify({ pem, next: 'kept' })).text), {
        pem: '[redacted:private-key]',
        next: 'kept',
      });
  });

  it('takes out members of JSON that stands, escaped, in a JSON string, at each depth', () => {
    let text = JSON.stringify({ a: 1, password: 'hun"ter\\2\\', b: 'kept' });
    let clean = JSON.stringify({ a: 1, password: '[redacted:member]', b: 'kept' });
    for (let depth = 0; depth < 4; depth++) {
      assert.deepEqual(redact(text), { text: clean, count: 1 });
      [text, clean] = [JSON.stringify({ text }), JSON.stringify({ text: clean })];
    }
  });

  it('leaves what is no secret as it is', () => {
    for (const text of [
      '{"token":3,"password":null,"secret":"","max_tokens":"10","token_count":"4"}',
      'basic password handling; the token: string; sk-is-a-very-long-css-class-name-of-ours',
      'https://example.com:8080/a@b user@example.com git@github.com:a/b.git',
      'TOKEN=$(gh auth token) KEY="" if (KEY==x)',
      '[redacted:member]',
    ])
      assert.deepEqual(redact(text), { text, count: 0 });
  });

  it('changes nothing when it goes over its own result', () => {
    const all = Object.values(secrets)
      .flat()
      .map(([secret]) => secret);
    const text = JSON.stringify({ all, password: 'x', url: 'https://a:b@c/', env: 'A_TOKEN=abcdefgh' });
    const once = redact(text);
    assert.deepEqual(redact(once.text), { text: once.text, count: 0 });
  });

  it('keeps JSON valid, with the same shape, whatever it holds', () => {
    const part = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom(
        ...Object.values(secrets)
          .flat()
          .map(([secret]) => secret),
      ),
      fc.constantFrom(
        '"',
        '\\',
        '\n',
        '{"password":"',
        '-----BEGIN PRIVATE KEY-----',
        'Bearer ',
        '://a:b@',
        'TOKEN=',
        '": "',
      ),
    );
    const text = fc.array(part, { maxLength: 6 }).map(parts => parts.join(''));
    // The number keeps keys apart that hold a secret each.
    const odd = fc.tuple(fc.uuid(), text).map(parts => parts.join(''));
    const key = fc.oneof(odd, fc.constantFrom('password', 'token', 'A_SECRET'));
    const value = fc.letrec(tie => ({
      node: fc.oneof(
        text,
        fc.constant(7),
        fc.array(tie('node'), { maxLength: 3 }),
        fc.dictionary(key, tie('node'), { maxKeys: 3 }),
        tie('node').map(inner => JSON.stringify(inner) ?? ''),
      ),
    })).node;
    fc.assert(
      fc.property(value, given => {
        const json = JSON.stringify(given);
        const clean = JSON.parse(redact(json).text);
        assert.equal(shape(clean), shape(JSON.parse(json)));
      }),
      { numRuns: 3000 },
    );
  });

  it('takes no longer for hostile text than for its length', () => {
    const n = 30_000;
    for (const evil of [
      `-----BEGIN PRIVATE KEY-----${'\\'.repeat(n)}`,
      `"token":"${'\\"'.repeat(n)}`,
      '"token":"'.repeat(n / 10),
      'eyJ'.repeat(n),
      `sk-${'a-'.repeat(n)}`,
      'authorization: '.repeat(n / 10),
      `"${'A_'.repeat(n)}TOKEN":"x"`,
      ':a@'.repeat(n),
      '\\"token\\":\\"'.repeat(n / 10),
    ]) {
      const begun = performance.now();
      redact(evil);
      const took = performance.now() - begun;
      assert.ok(took < 1000, `${evil.slice(0, 20)}: ${took} ms`);
    }
  });
});

function shape(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(shape)}]`;
  if (typeof value === 'object' && value !== null) return `{${Object.values(value).map(shape)}}`;
  return typeof value;
}

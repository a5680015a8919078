import assert from 'node:assert/strict';
import fc from 'fast-check';
import { LineReader } from '../../daemon/gateway/lineReader.ts';

function read(chunks: readonly Buffer[], limit?: number): { lines: string[]; oversize: number } {
  const seen = { lines: [] as string[], oversize: 0 };
  const reader = new LineReader(
    line => seen.lines.push(line.toString()),
    () => {
      seen.oversize += 1;
    },
    limit,
  );
  for (const chunk of chunks) reader.push(chunk);
  return seen;
}

describe('a line reader', () => {
  it('gives the same lines however the bytes are cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: 'grapheme' })),
        fc.array(fc.nat({ max: 20 }), { minLength: 1 }),
        (texts, cuts) => {
          const lines = texts.map(text => text.replace(/[\r\n]/g, '')).filter(text => text !== '');
          const bytes = Buffer.from(lines.map(line => `${line}\n`).join(''));
          const chunks: Buffer[] = [];
          for (let at = 0, i = 0; at < bytes.length; i += 1) {
            const length = 1 + (cuts[i % cuts.length] ?? 0);
            chunks.push(bytes.subarray(at, at + length));
            at += length;
          }
          assert.deepEqual(read(chunks).lines, lines);
        },
      ),
    );
  });

  it('takes CRLF, passes over empty lines, and keeps an unfinished line to itself', () => {
    assert.deepEqual(read([Buffer.from('a\r\n\r\n\nb\nc')]).lines, ['a', 'b']);
  });

  it('throws a line over the limit away, says so once, and goes on with the next', () => {
    const { lines, oversize } = read([Buffer.from('1234'), Buffer.from('5678'), Buffer.from('90\nok\n')], 6);
    assert.deepEqual(lines, ['ok']);
    assert.equal(oversize, 1);
  });
});

import assert from 'node:assert/strict';
import fc from 'fast-check';
import { encodeFrame, FrameReader } from '../../daemon/ipc/framing.ts';

describe('frames', () => {
  it('come out as they went in, however the stream is cut', () => {
    const frames = fc.array(fc.tuple(fc.string(), fc.uint8Array({ maxLength: 40_000 })), { maxLength: 6 });
    fc.assert(
      fc.property(frames, fc.array(fc.integer({ min: 1, max: 70_000 }), { minLength: 1 }), (sent, cuts) => {
        const stream = Buffer.concat(sent.flatMap(([header, payload]) => encodeFrame(header, payload)));
        const reader = new FrameReader();
        const got: [string, Buffer][] = [];
        for (let at = 0, index = 0; at < stream.length; index++) {
          const size = cuts[index % cuts.length] ?? 1;
          reader.push(stream.subarray(at, at + size));
          at += size;
          for (let frame = reader.next(); frame; frame = reader.next())
            got.push([frame.header, Buffer.from(frame.payload)]);
        }
        assert.deepEqual(
          got,
          sent.map(([header, payload]) => [Buffer.from(header).toString(), Buffer.from(payload)]),
        );
      }),
    );
  });

  it('of 50 MB in small chunks are read in linear time', () => {
    const payload = Buffer.alloc(50 * 1024 * 1024, 1);
    const stream = Buffer.concat(encodeFrame('{}', payload));
    const reader = new FrameReader();
    const begun = performance.now();
    for (let at = 0; at < stream.length; at += 8192) {
      reader.push(stream.subarray(at, at + 8192));
      const frame = reader.next();
      if (frame) assert.equal(frame.payload.length, payload.length);
    }
    assert.ok(performance.now() - begun < 1000);
    assert.equal(reader.next(), null);
  });

  it('longer than the limit are refused before they are gathered', () => {
    const reader = new FrameReader(1000);
    reader.push(Buffer.from([0, 0, 4, 0]));
    assert.throws(() => reader.next(), { code: 'too_large' });
  });

  it('with a header that reaches beyond them are refused', () => {
    const reader = new FrameReader();
    reader.push(Buffer.from([0, 0, 0, 4, 0, 0, 0, 9, 1, 2, 3, 4]));
    assert.throws(() => reader.next(), { code: 'invalid_input' });
    assert.throws(() => new FrameReader().next() ?? encodeFrame('', Buffer.alloc(81 * 1024 * 1024)), {
      code: 'too_large',
    });
  });
});

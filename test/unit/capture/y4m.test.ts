import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Y4mFrames } from '../../../src/capture/y4m.ts';
import { FakeSink } from '../../fakes/sink.ts';

const header = 'YUV4MPEG2 W4 H2 F25:2 Ip A1:1 C420mpeg2 XYSCSS=420MPEG2\n';
const stream = Buffer.concat([
  Buffer.from(`${header}FRAME\n`),
  Buffer.alloc(12, 1),
  Buffer.from('FRAME Ip\n'),
  Buffer.alloc(12, 10),
]);

function read(bytes: Buffer, piece = bytes.length) {
  const sink = new FakeSink();
  const frames = new Y4mFrames('bt601', sink);
  for (let at = 0; at < bytes.length; at += piece) {
    for (const frame of frames.push(bytes.subarray(at, at + piece))) sink.frame(frame);
  }
  return { sink, rest: frames.finish() };
}

for (const piece of [1, 5, 13, 1000]) {
  test(`a stream arriving ${piece} bytes at a time becomes its frames`, () => {
    const { sink, rest } = read(stream, piece);
    assert.deepEqual(
      sink.frames.map(({ data }) => [...new Uint8Array(data)]),
      [Array(12).fill(1), Array(12).fill(10)],
    );
    assert.deepEqual(sink.frames[0]?.format, { width: 4, height: 2, pixels: 'i420', colour: 'bt601' });
    assert.equal(rest, 0);
    assert.equal(sink.out.size, 0);
  });
}

test('a truncated frame is discarded and its size reported', () => {
  const { sink, rest } = read(stream.subarray(0, stream.length - 5));
  assert.equal(sink.frames.length, 1);
  assert.equal(rest, 7);
  assert.equal(sink.out.size, 0);
});

for (const [what, text, message] of [
  ['not YUV4MPEG2', 'RIFF....AVI \n', /expected a YUV4MPEG2 header, found "RIFF/],
  ['of an odd size', 'YUV4MPEG2 W3 H2 C420\n', /expected an even width and height, found 3×2/],
  ['of a giant size', 'YUV4MPEG2 W20000 H2 C420\n', /found 20000×2/],
  ['without a size', 'YUV4MPEG2 C420\n', /found NaN×NaN/],
  ['of another sampling', 'YUV4MPEG2 W4 H2 C422\n', /expected 8-bit 4:2:0 pixels, found 422/],
  ['of 10 bits', 'YUV4MPEG2 W4 H2 C420p10\n', /found 420p10/],
  ['without an end of its first line', 'Y'.repeat(2000), /more than 1024 bytes/],
  ['out of sync', `${header}xxxxxxx\n`, /expected the start of a frame, found "xxxxxxx"/],
] as const) {
  test(`a stream ${what} is rejected with the reason`, () => {
    assert.throws(() => read(Buffer.from(text)), { code: 'CAPTURE_STREAM', message });
  });
}

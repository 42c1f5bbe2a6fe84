import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RawFrames, type Strides, tightStrides } from '../../../src/capture/raw-frames.ts';
import type { FrameFormat } from '../../../src/types.ts';
import { FakeSink } from '../../fakes/sink.ts';

const format: FrameFormat = { width: 6, height: 4, pixels: 'i420', colour: 'bt601' };

/** A frame whose pixels count up from `first`, and the same as a program with padded rows would write it. */
function sample(first: number, { luma, chroma }: Strides): { pixels: Buffer; stream: Buffer } {
  const pixels = Buffer.from(Array.from({ length: 36 }, (_, i) => (first + i) & 0xff));
  const row = (start: number, length: number, stride: number) =>
    Buffer.concat([pixels.subarray(start, start + length), Buffer.alloc(stride - length, 0xee)]);
  const rows = [0, 6, 12, 18].map((start) => row(start, 6, luma));
  rows.push(...[24, 27, 30, 33].map((start) => row(start, 3, chroma)));
  return { pixels, stream: Buffer.concat(rows) };
}

const layouts: [string, Strides][] = [
  ['tight rows', tightStrides(format)],
  ['padded rows', { luma: 16, chroma: 8 }],
  ['rows of which only the chroma is padded', { luma: 6, chroma: 4 }],
];

for (const [what, strides] of layouts) {
  for (const piece of [1, 7, 36, 1000]) {
    test(`${what} arriving ${piece} bytes at a time become exact frames`, () => {
      const sink = new FakeSink();
      const frames = new RawFrames(format, strides, sink);
      const samples = [sample(0, strides), sample(100, strides), sample(200, strides)];
      const stream = Buffer.concat(samples.map((each) => each.stream));
      const found: Buffer[] = [];
      for (let at = 0; at < stream.length; at += piece) {
        for (const data of frames.push(stream.subarray(at, at + piece))) {
          found.push(Buffer.from(data.slice(0)));
          sink.release(data);
        }
      }
      assert.deepEqual(
        found,
        samples.map((each) => each.pixels),
      );
      assert.equal(frames.finish(), 0);
      assert.equal(sink.out.size, 0);
    });
  }
}

test('a truncated frame is discarded and its size reported', () => {
  const sink = new FakeSink();
  const frames = new RawFrames(format, tightStrides(format), sink);
  assert.deepEqual([...frames.push(Buffer.alloc(20))], []);
  assert.equal(frames.received, 20);
  assert.equal(frames.missing, 16);
  assert.equal(frames.finish(), 20);
  assert.equal(sink.out.size, 0);
  assert.equal([...frames.push(Buffer.alloc(36))].length, 1);
});

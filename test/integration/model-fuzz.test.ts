import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LookoutError } from '../../src/errors.ts';
import { encodeModel } from '../../src/model/onnx.ts';
import { convertTflite } from '../../src/model/tflite/convert.ts';
import { readMetadata } from '../../src/model/tflite/metadata.ts';
import { readTflite } from '../../src/model/tflite/read.ts';
import { Random } from '../../src/platform/random.ts';
import { TinyNet } from '../support/tflite-nets.ts';

const MUTATIONS = 100_000;
const NASTY = [0, 1, 0xffff, 0x7fffffff, 0x80000000, 0xfffffffc, 0xffffffff];

/** Changes some bytes, words or stretches of a file, or cuts it short. */
function mutate(original: Uint8Array, random: Random): Uint8Array {
  let bytes = original.slice();
  for (let change = 1 + Math.floor(random.next() * random.next() * 8); change > 0; change--) {
    const at = Math.floor(random.next() * bytes.length);
    const kind = random.next();
    if (kind < 0.4) bytes[at] = Math.floor(random.next() * 256);
    else if (kind < 0.6) bytes[at]! ^= 1 << Math.floor(random.next() * 8);
    else if (kind < 0.75) {
      new DataView(bytes.buffer).setUint32(Math.min(at, bytes.length - 4), random.pick(NASTY), true);
    } else if (kind < 0.85) bytes = bytes.slice(0, Math.max(8, at));
    else if (kind < 0.95) bytes.copyWithin(at, Math.floor(random.next() * bytes.length), bytes.length);
    else bytes.fill(0, at, at + 8);
  }
  return bytes;
}

test(`${MUTATIONS} damaged TensorFlow Lite files are converted or refused, quickly and in little memory`, () => {
  const net = new TinyNet(1, 'int8', 9, { perChannel: true }).pad(1).conv(4, 3, 2, { valid: true });
  const shortcut = net.at;
  const original = net.depthwise(1).add(shortcut).mean().dense(3).softmax().write();
  const random = new Random(2026);
  const before = process.memoryUsage().rss;
  let slowest = 0;
  let converted = 0;
  for (let i = 0; i < MUTATIONS; i++) {
    const bytes = mutate(original, random);
    const started = performance.now();
    try {
      const source = readTflite(bytes);
      readMetadata(bytes, source);
      encodeModel(convertTflite(source, 'net.tflite', { embedding: true }).model);
      converted++;
    } catch (error) {
      const expected = error instanceof LookoutError || error instanceof RangeError;
      assert.ok(expected || (error as Error).constructor === Error, String((error as Error).stack));
    }
    slowest = Math.max(slowest, performance.now() - started);
  }
  assert.ok(converted > MUTATIONS / 50, 'some changes do no harm');
  assert.ok(slowest < 2000, `one took ${slowest} ms`);
  const grown = (process.memoryUsage().rss - before) / 1e6;
  assert.ok(grown < 150, `memory grew by ${grown} MB`);
});

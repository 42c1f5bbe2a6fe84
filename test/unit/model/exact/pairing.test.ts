import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Layer } from '../../../../src/model/exact/clipping-layers.ts';
import { canClip } from '../../../../src/model/exact/clipping-layers.ts';
import { FILLER, pairChannels } from '../../../../src/model/exact/pairing.ts';
import { Seeded } from '../../../support/random.ts';

/** A convolution of single pixels with these weights, one row for each output. */
function layer(rows: readonly (readonly number[])[]): Layer {
  const channels = rows[0]!.length;
  return {
    ...({} as Pick<Layer, 'node' | 'dequantize' | 'weights'>),
    ints: Int8Array.from(rows.flat()),
    zero: 0,
    outputs: rows.length,
    channels,
    area: 1,
    groups: 1,
    step: { output: channels, channel: 1, pixel: 1 },
  };
}

test('sums can be clipped when two neighbours exceed 128 together, and only then', () => {
  assert.equal(canClip(layer([[64, 64, -64, -64]])), false);
  assert.equal(canClip(layer([[65, 64, 0, 0]])), true);
  assert.equal(canClip(layer([[0, 0, -65, -64]])), true);
  assert.equal(canClip(layer([[-128, 0, 127, -127]])), false);
  // The second and the third are not neighbours, and the last of an odd number has none.
  assert.equal(canClip(layer([[0, 127, 127, 0, 127]])), false);
});

test('neighbours in a window are channels of one pixel; with an odd number, the last one pairs with the next pixel', () => {
  const window = { area: 2, step: { output: 4, channel: 2, pixel: 1 } };
  // Channel 0 is large in the first pixel, channel 1 in the second.
  const apart = { ...layer([[127, 0, 0, 127]]), channels: 2, ...window };
  assert.equal(canClip(apart), false);
  assert.equal(canClip({ ...apart, ints: Int8Array.of(127, 0, 127, 0) }), true);
  const odd = { ...layer([[0, 0, 0, 127, 127, 0]]), channels: 3, area: 2 };
  assert.equal(canClip({ ...odd, step: { output: 6, channel: 2, pixel: 1 } }), false);
  assert.equal(canClip({ ...odd, step: { output: 6, channel: 1, pixel: 3 } }), false);
  const across = Int8Array.of(0, 0, 127, 127, 0, 0);
  assert.equal(canClip({ ...odd, ints: across, step: { output: 6, channel: 1, pixel: 3 } }), true);
});

test('channels are paired with others that fit, in any initial order', () => {
  const random = new Seeded(3);
  for (let round = 0; round < 40; round++) {
    const channels = random.int(2, 60);
    const rows = Array.from({ length: random.int(1, 20) }, () =>
      Array.from({ length: channels }, () =>
        random.chance(0.03) ? random.int(-127, 127) : random.int(-20, 20),
      ),
    );
    const order = pairChannels(channels, [layer(rows)], channels)!;
    const expected = [...Array(channels).keys()];
    assert.deepEqual(
      order.filter((channel) => channel !== FILLER).sort((a, b) => a - b),
      expected,
    );
    const reordered = rows.map((row) => order.map((channel) => (channel === FILLER ? 0 : row[channel]!)));
    assert.equal(canClip(layer(reordered)), false);
  }
});

test('a channel without a suitable neighbour gets a filler; too many fillers give null', () => {
  const rows = [[100, 100, 100, 5]];
  const order = pairChannels(4, [layer(rows)], 4)!;
  assert.equal(order.filter((channel) => channel === FILLER).length, 2);
  assert.equal(pairChannels(4, [layer([[100, 100, 100, 100]])], 3), null);
});

test('earlier pairs are changed if a later channel needs it', () => {
  // 0 fits 2 and 3, 1 fits only 2.
  const rows = [
    [70, 70, 0, 0],
    [0, 70, 0, 70],
  ];
  assert.equal(pairChannels(4, [layer(rows)], 0)!.includes(FILLER), false);
});

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import sharp from 'sharp';
import { Scene } from '../../../src/demo/scene.ts';

const WIDTH = 160;
const HEIGHT = 120;
const small = (seed: number) => new Scene(WIDTH, HEIGHT, seed);

test('the same seed and time give the same picture, in whatever order they are asked for', () => {
  const one = small(3);
  const two = small(3);
  const a = new Uint8Array(one.bytes);
  const b = new Uint8Array(one.bytes);
  const seen = one.render(70_000, a);
  two.render(5000, b);
  two.render(130_000, b);
  assert.deepEqual(two.render(70_000, b), seen);
  assert.deepEqual(b, a);
  small(4).render(70_000, b);
  assert.notDeepEqual(b, a);
});

test('a person, a car and a cat come every minute, with nobody in between', () => {
  for (const seed of [1, 2, 3, 4]) {
    const scene = small(seed);
    const picture = new Uint8Array(scene.bytes);
    for (let minute = 0; minute < 3; minute++) {
      const times: Record<string, number> = {};
      for (let second = 0; second < 60; second += 0.5) {
        const seen = scene.render((minute * 60 + second) * 1000, picture);
        const labels = new Set(seen.filter(({ visible }) => visible > 0.6).map(({ label }) => label));
        for (const label of labels) times[label] = (times[label] ?? 0) + 0.5;
        if (seen.length === 0) times.nobody = (times.nobody ?? 0) + 0.5;
      }
      const told = `seed ${seed}, minute ${minute}: ${JSON.stringify(times)}`;
      for (const label of ['person', 'car', 'cat']) assert.ok((times[label] ?? 0) >= 2.5, told);
      assert.ok((times.nobody ?? 0) >= 10, told);
    }
  }
});

test('a box holds what moved, and little else', () => {
  const scene = new Scene(320, 240, 2, 0);
  const before = new Uint8Array(scene.bytes);
  const after = new Uint8Array(scene.bytes);
  scene.render(500, before);
  let checked = 0;
  for (let time = 4000; time < 60_000; time += 1000) {
    const seen = scene.render(time, after);
    if (seen.length !== 1 || seen[0]!.visible < 1) continue;
    const { x, y, w, h } = seen[0]!.box;
    let inside = 0;
    let changed = 0;
    for (let row = 0; row < 240; row++) {
      for (let column = 0; column < 320; column++) {
        if (Math.abs(after[row * 320 + column]! - before[row * 320 + column]!) < 40) continue;
        const px = column / 320;
        const py = row / 240;
        if (px > x - 0.01 && px < x + w + 0.01 && py > y - 0.01 && py < y + h + 0.03) inside++;
        else if (py > 0.45) changed++;
      }
    }
    assert.ok(
      inside > changed * 5,
      `at ${time} ms: ${inside} pixels changed inside the box, ${changed} outside`,
    );
    checked++;
  }
  assert.ok(checked >= 5);
});

test('light and noise never overflow a byte', () => {
  const clean = new Scene(WIDTH, HEIGHT, 5, 0);
  const noisy = new Scene(WIDTH, HEIGHT, 5, 3);
  const a = new Uint8Array(clean.bytes);
  const b = new Uint8Array(clean.bytes);
  for (let time = 0; time < 300_000; time += 20_000) {
    clean.render(time, a);
    noisy.render(time, b);
    let most = 0;
    for (let i = 0; i < a.length; i++) most = Math.max(most, Math.abs(a[i]! - b[i]!));
    assert.ok(most > 2 && most <= 7, `noise of up to ${most}`);
    assert.ok(a.every((value) => value > 0 && value < 255));
  }
});

test('any even size can be rendered', () => {
  for (const [width, height] of [
    [64, 64],
    [66, 70],
    [640, 128],
    [128, 640],
  ] as const) {
    const scene = new Scene(width, height, 1);
    assert.equal(scene.bytes, (width * height * 3) / 2);
    scene.render(6000, new Uint8Array(scene.bytes));
  }
});

const gallery = process.env.LOOKOUT_DEMO_PICTURES;
if (gallery) test('pictures to look at', () => writePictures(gallery));

async function writePictures(folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const scene = new Scene(640, 480, 1);
  const picture = new Uint8Array(scene.bytes);
  for (let second = 0; second < 60; second += 3) {
    scene.render(second * 1000, picture);
    const name = join(folder, `scene-${String(second).padStart(2, '0')}.png`);
    await sharp(toRgb(picture, 640, 480), { raw: { width: 640, height: 480, channels: 3 } }).toFile(name);
  }
}

function toRgb(picture: Uint8Array, width: number, height: number): Uint8ClampedArray {
  const rgb = new Uint8ClampedArray(width * height * 3);
  const luma = width * height;
  for (let i = 0; i < luma; i++) {
    const chroma = luma + ((Math.floor(i / width) >> 1) * width) / 2 + ((i % width) >> 1);
    const y = 1.1644 * (picture[i]! - 16);
    const u = picture[chroma]! - 128;
    const v = picture[chroma + luma / 4]! - 128;
    rgb.set([y + 1.596 * v, y - 0.3918 * u - 0.813 * v, y + 2.0172 * u], i * 3);
  }
  return rgb;
}

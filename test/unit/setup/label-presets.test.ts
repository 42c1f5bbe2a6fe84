import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { parseLabels } from '../../../src/model/label-file.ts';
import { effectiveLabels } from '../../../src/setup/camera-labels.ts';
import { compileLabels } from '../../../src/setup/label-groups.ts';
import { presetFor } from '../../../src/setup/label-presets.ts';
import { requiresShared, shared } from '../../support/requires.ts';

const FILE = 'models/imagenet_labels.txt';
const skip = requiresShared(FILE);
const imagenet = () => parseLabels(readFileSync(shared(FILE), 'utf8'));
const model = (labels: string[]) => ({ name: 'mobilenet', labels, background: ['background'], groups: {} });

/** The first synonym of every label in a group. */
function members(labels: string[], group: string): string[] {
  return presetFor(labels)!.groups[group]!.map((i) => labels[i]!.split(',')[0]!);
}

test('labels that are not ImageNet’s have no preset', () => {
  assert.equal(presetFor(['person', 'car']), null);
  assert.equal(presetFor(Array.from({ length: 1000 }, (_, i) => `class ${i}`)), null);
});

describe('the preset for ImageNet', { skip }, () => {
  test('ImageNet is known by its labels, with and without a background in front', () => {
    const labels = imagenet();
    assert.equal(labels.length, 1001);
    assert.deepEqual(members(labels, 'dog'), members(labels.slice(1), 'dog'));
    assert.equal(presetFor(labels.toReversed()), null);
  });

  test('the groups of the preset hold what their names say', () => {
    const labels = imagenet();
    const dogs = members(labels, 'dog');
    assert.deepEqual([dogs.length, dogs[0], dogs.at(-1)], [118, 'Chihuahua', 'Mexican hairless']);
    assert.deepEqual(members(labels, 'cat'), [
      'tabby',
      'tiger cat',
      'Persian cat',
      'Siamese cat',
      'Egyptian cat',
    ]);
    assert.deepEqual(members(labels, 'bicycle'), [
      'bicycle-built-for-two',
      'mountain bike',
      'tricycle',
      'unicycle',
    ]);
    assert.deepEqual(members(labels, 'deer'), ['hartebeest', 'impala', 'gazelle']);
    const birds = members(labels, 'bird');
    assert.equal(birds.length, 59);
    for (const bird of [
      'cock',
      'great grey owl',
      'black grouse',
      'black swan',
      'white stork',
      'albatross',
      'crane',
    ]) {
      assert.ok(birds.includes(bird), bird);
    }
    const vehicles = members(labels, 'vehicle');
    for (const group of ['car', 'truck', 'bus', 'motorcycle']) {
      for (const label of members(labels, group)) assert.ok(vehicles.includes(label), label);
    }
    assert.deepEqual(
      members(labels, 'car').sort(),
      'Model T,ambulance,beach wagon,cab,car mirror,car wheel,convertible,go-kart,grille,jeep,limousine,minivan,pickup,racer,sports car'.split(
        ',',
      ),
    );
    assert.deepEqual(
      members(labels, 'truck').sort(),
      'fire engine,garbage truck,moving van,police van,recreational vehicle,snowplow,tow truck,trailer truck'.split(
        ',',
      ),
    );
    assert.deepEqual(members(labels, 'bus').sort(), [
      'minibus',
      'passenger car',
      'school bus',
      'streetcar',
      'trolleybus',
    ]);
    assert.deepEqual(members(labels, 'motorcycle').sort(), ['disk brake', 'moped', 'motor scooter']);
  });

  test('no class stands twice in a group, and animals do not share theirs', () => {
    const { groups } = presetFor(imagenet())!;
    for (const [name, classes] of Object.entries(groups))
      assert.equal(new Set(classes).size, classes.length, name);
    const animals = [
      'bear',
      'bird',
      'cat',
      'cow',
      'dog',
      'fox',
      'horse',
      'pig',
      'rabbit',
      'sheep',
      'squirrel',
      'wolf',
    ];
    const all = animals.flatMap((name) => groups[name]!);
    assert.equal(new Set(all).size, all.length);
  });

  test('an ImageNet model without a description proposes events, and its groups can be used in others', () => {
    const labels = imagenet();
    const proposed = effectiveLabels({ labels, events: {} }, { labels: {} }, { labels: {} });
    assert.deepEqual(Object.keys(proposed), ['bird', 'cat', 'dog', 'vehicle']);
    const { names, score } = compileLabels(model(labels), { pet: ['dog', 'cat', 'hamster'] });
    const probabilities = new Float32Array(labels.length);
    for (const label of ['golden retriever', 'Egyptian cat', 'hamster'])
      probabilities[labels.indexOf(label)] = 0.25;
    const out = new Float32Array(names.length);
    score(probabilities, out);
    assert.equal(out[names.indexOf('pet')], 0.75);
  });

  test('who looks for people is told that ImageNet has none', () => {
    assert.throws(() => compileLabels(model(imagenet()), {}, [{ path: 'labels', name: 'person' }]), {
      message: /labels: unknown label `person` \(ImageNet has no class for people\)/,
    });
  });
});

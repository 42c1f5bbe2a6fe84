import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configSchema, defaultLabel } from '../../../src/config/schema.ts';
import type { ModelDescription } from '../../../src/model/description.ts';
import { effectiveLabels, resolveLabels } from '../../../src/setup/camera-labels.ts';

const description: ModelDescription = {
  name: 'toy',
  task: 'classify',
  input: {
    name: 'image',
    width: 8,
    height: 8,
    layout: 'nhwc',
    type: 'uint8',
    channels: 3,
    order: 'rgb',
    mean: [0, 0, 0],
    scale: [1, 1, 1],
  },
  output: { name: 'probabilities', kind: 'probabilities' },
  labels: ['nothing', 'person', 'tabby, tabby cat', 'tiger cat', 'car'],
  background: ['nothing'],
  groups: { cat: ['tabby', 'tiger cat'] },
  events: { person: { on: 0.5 }, cat: { hold: 20 } },
  warning: null,
  licence: null,
};

const config = (raw: object) => configSchema.parse(raw);
const camera = (raw: object) => ({ source: { kind: 'demo' }, ...raw });

test('without labels in the configuration the model proposes them', () => {
  const { cameras, ...rest } = config({});
  assert.deepEqual(effectiveLabels(description, rest, cameras.demo!), {
    person: { ...defaultLabel, on: 0.5, off: 0.3333 },
    cat: { ...defaultLabel, hold: 20 },
  });
});

test('labels in the configuration replace the proposed ones, but keep their settings beneath', () => {
  const { cameras, ...rest } = config({ labels: { cat: { on: 0.9, off: 0.1 }, car: {} } });
  assert.deepEqual(effectiveLabels(description, rest, cameras.demo!), {
    cat: { ...defaultLabel, on: 0.9, off: 0.1, hold: 20 },
    car: defaultLabel,
  });
});

test('a camera changes settings and adds labels', () => {
  const { cameras, ...rest } = config({
    labels: { cat: { hold: 30 } },
    cameras: { door: camera({ labels: { cat: { max: 60 }, car: { min: 2 } } }) },
  });
  assert.deepEqual(effectiveLabels(description, rest, cameras.door!), {
    cat: { ...defaultLabel, hold: 30, max: 60 },
    car: { ...defaultLabel, min: 2 },
  });
});

test('labels are resolved for all cameras, synonyms included', () => {
  const resolved = resolveLabels(
    { default: description },
    config({
      labels: { person: {} },
      groups: { animal: ['cat'] },
      cameras: { door: camera({}), barn: camera({ labels: { animal: {}, tabby: {} } }) },
    }),
  );
  const { compiled, labels } = resolved.default!;
  assert.deepEqual(Object.keys(labels.door!), ['person']);
  assert.deepEqual(Object.keys(labels.barn!), ['person', 'animal', 'tabby']);
  assert.ok(['animal', 'cat', 'tabby', 'car'].every((name) => compiled.names.includes(name)));
  assert.ok(!compiled.names.includes('nothing'));
});

test('unknown labels are reported from every place at once', () => {
  const wrong = config({
    labels: { persn: {} },
    groups: { pets: ['cet'] },
    cameras: {
      door: camera({
        labels: { carr: {} },
        zones: {
          path: {
            polygon: [
              [0, 0],
              [1, 0],
              [1, 1],
            ],
            labels: ['dog'],
          },
        },
      }),
    },
  });
  assert.throws(() => resolveLabels({ default: description }, wrong), {
    code: 'LABEL_UNKNOWN',
    message: [
      'labels that the model toy does not know',
      'groups.pets: unknown label `cet` (did you mean `cat`?)',
      'labels: unknown label `persn` (did you mean `person`?)',
      'cameras.door.labels: unknown label `carr` (did you mean `car`?)',
      'cameras.door.zones.path.labels: unknown label `dog`',
    ].join('\n  '),
  });
});

test('a zone limited to a label that makes no events is a mistake', () => {
  const polygon = [
    [0, 0],
    [1, 0],
    [1, 1],
  ];
  const wrong = config({
    labels: { person: {} },
    cameras: { door: camera({ zones: { path: { polygon, labels: ['person', 'cat'] } } }) },
  });
  assert.throws(() => resolveLabels({ default: description }, wrong), {
    code: 'CONFIG_INVALID',
    message: 'cameras.door.zones.path.labels: expected labels that make events on this camera, found `cat`',
  });
});

const birds: ModelDescription = {
  ...description,
  name: 'birds',
  labels: ['jay', 'crane'],
  ...{ background: [], groups: {}, events: { jay: {} } },
};
const triangle = [
  [0, 0],
  [1, 0],
  [1, 1],
];

test('of several models each takes what it knows of labels and groups, else what it proposes', () => {
  const { toy, bird } = resolveLabels(
    { toy: description, bird: birds },
    config({
      labels: { person: {}, animal: {} },
      groups: { animal: ['cat', 'crane'], vehicle: ['car'] },
      cameras: { door: camera({ model: 'toy', labels: { car: {} } }) },
    }),
  );
  assert.deepEqual(Object.keys(toy!.labels.door!), ['person', 'animal', 'car']);
  assert.deepEqual(Object.keys(bird!.labels.door!), ['animal']);
  assert.deepEqual(bird!.compiled.names, ['jay', 'crane', 'animal']);
  assert.deepEqual(bird!.compiled.classesOf('animal'), [1]);

  const proposing = resolveLabels({ toy: description, bird: birds }, config({ labels: { person: {} } }));
  assert.deepEqual(Object.keys(proposing.bird!.labels.demo!), ['jay']);
});

test('a label that no model knows is an error, and so is one that the models of the camera do not know', () => {
  const wrong = config({
    labels: { persn: {}, jay: {} },
    groups: { pets: ['cat', 'cet'] },
    models: { bird: {} },
    cameras: {
      door: camera({ labels: { jay: {} } }),
      yard: camera({ labels: { jay: {} }, zones: { feeder: { polygon: triangle, model: 'bird' } } }),
      barn: camera({ zones: { nest: { polygon: triangle, model: 'bird', labels: ['person'] } } }),
    },
  });
  assert.throws(
    () => resolveLabels({ default: description, bird: birds }, wrong),
    (error: Error) => {
      assert.deepEqual(
        error.message.split('\n').map((line) => line.replace(/ \(did you mean.*/, '').trim()),
        [
          'labels that the models toy, birds do not know',
          'groups.pets: unknown label `cet`',
          'labels: unknown label `persn`',
          'cameras.door.labels: unknown label `jay`',
          'cameras.barn.zones.nest.labels: unknown label `person`',
        ],
      );
      return true;
    },
  );
});

test("what a model's own description names wrongly is not saved by another model", () => {
  const odd = { ...birds, groups: { mine: ['person'] } };
  assert.throws(() => resolveLabels({ toy: description, odd }, config({})), {
    message: /the model's group mine: unknown label `person`/,
  });
});

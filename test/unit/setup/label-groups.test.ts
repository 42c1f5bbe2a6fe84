import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LookoutError } from '../../../src/errors.ts';
import { compileLabels, type LabelUse } from '../../../src/setup/label-groups.ts';

const LABELS = [
  'background',
  'tabby, tabby cat',
  'tiger cat',
  'minivan',
  'crane',
  'crane',
  'Cardigan, Cardigan Welsh corgi',
  'cardigan',
  'ruffed grouse, partridge, Bonasa umbellus',
  'partridge',
  'jay, blue jay',
  'jay, jaybird',
];
const model = { name: 'toy', labels: LABELS, background: ['background'], groups: {} };

const compile = (groups: Record<string, string[]> = {}, uses: LabelUse[] = []) =>
  compileLabels(model, groups, uses);

/** Which classes a name stands for, found out by giving each class a probability of its own. */
function classesOf(compiled: ReturnType<typeof compile>, name: string): number[] {
  const at = compiled.names.indexOf(name);
  assert.notEqual(at, -1, `${name} is no name`);
  const out = new Float32Array(compiled.names.length);
  return LABELS.flatMap((_, i) => {
    const probabilities = new Float32Array(LABELS.length);
    probabilities[i] = 0.5;
    compiled.score(probabilities, out);
    return out[at] === 0.5 ? [i] : [];
  });
}

function unknown(groups: Record<string, string[]>, uses: LabelUse[] = []): string {
  try {
    compile(groups, uses);
  } catch (error) {
    assert.ok(error instanceof LookoutError);
    assert.equal(error.code, 'LABEL_UNKNOWN');
    return error.message;
  }
  assert.fail('nothing was unknown');
}

test('every label of the model is a name, but not its background', () => {
  const { names, warnings } = compile();
  assert.deepEqual([...names], [...new Set(LABELS.slice(1))]);
  assert.deepEqual(warnings, []);
});

test('a score of a group is the sum of its members, at most 1', () => {
  const compiled = compile({ cat: ['tabby', 'tiger cat'] });
  const out = new Float32Array(compiled.names.length);
  const probabilities = new Float32Array(LABELS.length);
  const at = compiled.names.indexOf('cat');
  probabilities.set([0, 0.25, 0.5]);
  compiled.score(probabilities, out);
  assert.equal(out[at], 0.75);
  assert.equal(out[compiled.names.indexOf('tiger cat')], 0.5);
  probabilities.set([0, 0.75, 0.5]);
  compiled.score(probabilities, out);
  assert.equal(out[at], 1);
});

test('a member may be a whole label, one of its synonyms, or either in another case', () => {
  for (const member of ['tabby, tabby cat', 'tabby', 'tabby cat', 'Tabby Cat']) {
    assert.deepEqual(classesOf(compile({ g: [member] }), 'g'), [1]);
  }
});

test('the exact case wins, and a whole label wins over a synonym', () => {
  assert.deepEqual(classesOf(compile({ g: ['Cardigan'] }), 'g'), [6]);
  assert.deepEqual(classesOf(compile({ g: ['cardigan'] }), 'g'), [7]);
  assert.deepEqual(classesOf(compile({ g: ['partridge'] }), 'g'), [9]);
});

test('an ambiguous name means all of its labels, and is warned of', () => {
  const compiled = compile({ g: ['crane'], h: ['jay'] });
  assert.deepEqual(classesOf(compiled, 'g'), [4, 5]);
  assert.deepEqual(classesOf(compiled, 'h'), [10, 11]);
  assert.deepEqual(compiled.warnings, [
    'groups.g: `crane` means 2 labels of the model: `crane` (4), `crane` (5)',
    'groups.h: `jay` means 2 labels of the model: `jay, blue jay` (10), `jay, jaybird` (11)',
  ]);
});

test('a class named twice in a group counts once', () => {
  assert.deepEqual(classesOf(compile({ g: ['tabby', 'tabby cat', 'tabby, tabby cat'] }), 'g'), [1]);
});

test('groups may contain groups, and a group may bear the name of a label that it contains', () => {
  const compiled = compile({
    pet: ['cat', 'Cardigan'],
    cat: ['tabby', 'tiger cat'],
    minivan: ['minivan', 'jaybird'],
  });
  assert.deepEqual(classesOf(compiled, 'pet'), [1, 2, 6]);
  assert.deepEqual(classesOf(compiled, 'minivan'), [3, 11]);
});

test('the groups of the configuration come before those of the model', () => {
  const described = { ...model, groups: { cat: ['tabby'], bird: ['jaybird'] } };
  const compiled = compileLabels(described, { cat: ['tiger cat'] });
  assert.deepEqual(classesOf(compiled, 'cat'), [2]);
  assert.deepEqual(classesOf(compiled, 'bird'), [11]);
});

test('all unknown members are reported at once, with what was perhaps meant', () => {
  const message = unknown({ vehicle: ['miniban', 'xyzzy'], cat: ['tabby'] }, [
    { path: 'labels', name: 'cats' },
  ]);
  assert.deepEqual(message.split('\n').slice(1), [
    '  groups.vehicle: unknown label `miniban` (did you mean `minivan`?)',
    '  groups.vehicle: unknown label `xyzzy`',
    '  labels: unknown label `cats` (did you mean `cat`?)',
  ]);
});

test('groups that contain each other are unknown labels, not an endless loop', () => {
  assert.match(unknown({ a: ['b'], b: ['a'] }), /groups\.b: unknown label `a`/);
});

test('a synonym that the configuration uses becomes a name of its own', () => {
  const compiled = compile({}, [{ path: 'labels', name: 'tabby cat' }]);
  assert.deepEqual(classesOf(compiled, 'tabby cat'), [1]);
  assert.deepEqual(classesOf(compiled, 'tabby, tabby cat'), [1]);
});

test('even the background can be watched by those who name it', () => {
  assert.deepEqual(classesOf(compile({}, [{ path: 'labels', name: 'background' }]), 'background'), [0]);
});

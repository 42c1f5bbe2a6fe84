import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Answer,
  accuracy,
  balanced,
  calibrationError,
  confusion,
  failures,
  precisionAndRecall,
  reliability,
  thresholdFor,
} from '../../../scripts/train/evaluate/measures.ts';

/** An answer about a picture of `label` that gives `said` a score and the rest to the other label. */
const answer = (label: string, said: string, score: number, source = 'a'): Answer => {
  const other = said === 'cat' ? 'dog' : 'cat';
  return { id: `${label}-${said}-${score}`, label, source, scores: { [said]: score, [other]: 1 - score } };
};

const answers = [
  answer('cat', 'cat', 0.9),
  answer('cat', 'cat', 0.9),
  answer('cat', 'dog', 0.7),
  answer('dog', 'dog', 0.6, 'b'),
];

test('accuracy counts pictures, balanced accuracy classes', () => {
  assert.equal(accuracy(answers), 3 / 4);
  assert.equal(balanced(answers), (2 / 3 + 1) / 2);
  assert.deepEqual(confusion(answers, ['cat', 'dog']), [
    [2, 1],
    [0, 1],
  ]);
});

test('the calibration error is the mean distance of scores from the share of right answers', () => {
  const bins = reliability(answers, 10);
  assert.deepEqual(
    bins.filter(({ count }) => count > 0).map(({ count, right }) => [count, right]),
    [
      [1, 1],
      [1, 0],
      [2, 1],
    ],
  );
  const expected = (1 * 0.4 + 1 * 0.7 + 2 * 0.1) / 4;
  assert.ok(Math.abs(calibrationError(bins) - expected) < 1e-9);
});

test('a score of 1 lies in the last bin', () => {
  assert.equal(reliability([answer('cat', 'cat', 1)], 10).at(-1)?.count, 1);
});

test('precision is of what is said, recall of what is there', () => {
  assert.deepEqual(precisionAndRecall(answers, 'dog', 0.5), { precision: 1 / 2, recall: 1, said: 2 });
  assert.deepEqual(precisionAndRecall(answers, 'cat', 0.8), { precision: 1, recall: 2 / 3, said: 2 });
});

test('a threshold is the lowest in hundredths that is right often enough, and never below a half', () => {
  const mixed = [answer('dog', 'cat', 0.62), answer('cat', 'cat', 0.7), answer('cat', 'cat', 0.8)];
  assert.equal(thresholdFor(mixed, 'cat', 0.95), 0.63);
  assert.equal(thresholdFor(mixed, 'cat', 0.6), 0.5);
  assert.equal(thresholdFor([answer('dog', 'cat', 1)], 'cat', 0.95), 0.99);
});

test('failures come most confident first', () => {
  const wrong = [answer('cat', 'dog', 0.6), answer('cat', 'cat', 0.99), answer('dog', 'cat', 0.8)];
  assert.deepEqual(
    failures(wrong, 5).map(({ id }) => id),
    ['dog-cat-0.8', 'cat-dog-0.6'],
  );
  assert.equal(failures(wrong, 1).length, 1);
});

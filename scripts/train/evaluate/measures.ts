/** What answers are worth: pure functions over pictures, their true labels and the scores they were given. */

export interface Answer {
  id: string;
  /** What it is, and where it comes from. */
  label: string;
  source: string;
  /** Score of each label, 0…1. */
  scores: Readonly<Record<string, number>>;
}

/** The label with the highest score. */
export function first({ scores }: Answer): { label: string; score: number } {
  const [label, score] = Object.entries(scores).reduce((best, entry) => (entry[1] > best[1] ? entry : best));
  return { label, score };
}

/** Share of right first answers. */
export function accuracy(answers: readonly Answer[]): number {
  return mean(answers.map((answer) => (first(answer).label === answer.label ? 1 : 0)));
}

/** Answers by what `key` says of each, in the order of their first appearance. */
export function grouped(answers: readonly Answer[], key: (answer: Answer) => string): Map<string, Answer[]> {
  return Map.groupBy(answers, key);
}

/** Mean of the accuracies of the classes. */
export function balanced(answers: readonly Answer[]): number {
  return mean([...grouped(answers, ({ label }) => label).values()].map(accuracy));
}

/** How often each label (rows) was answered with each (columns). */
export function confusion(answers: readonly Answer[], labels: readonly string[]): number[][] {
  const counts = labels.map(() => labels.map(() => 0));
  for (const answer of answers) {
    counts[labels.indexOf(answer.label)]![labels.indexOf(first(answer).label)]!++;
  }
  return counts;
}

/** Answers whose first score lies in one range. */
export interface Bin {
  from: number;
  to: number;
  count: number;
  /** Mean of the first scores, and share that was right. */
  score: number;
  right: number;
}

export function reliability(answers: readonly Answer[], bins = 15): Bin[] {
  const placed = Array.from({ length: bins }, (): Answer[] => []);
  for (const answer of answers) {
    placed[Math.min(bins - 1, Math.floor(first(answer).score * bins))]!.push(answer);
  }
  return placed.map((members, i) => ({
    from: i / bins,
    to: (i + 1) / bins,
    count: members.length,
    score: mean(members.map((answer) => first(answer).score)),
    right: accuracy(members),
  }));
}

/** Expected calibration error: mean distance between score and share of right answers, weighted by the bins' counts. */
export function calibrationError(bins: readonly Bin[]): number {
  const total = bins.reduce((sum, { count }) => sum + count, 0);
  return bins.reduce(
    (sum, { count, score, right }) => sum + (count ? (count / total) * Math.abs(score - right) : 0),
    0,
  );
}

/** Of the pictures whose score for a label reaches a threshold: how many show it; and of those that show it: how many reach it. */
export function precisionAndRecall(
  answers: readonly Answer[],
  label: string,
  threshold: number,
): { precision: number; recall: number; said: number } {
  const said = answers.filter(({ scores }) => (scores[label] ?? 0) >= threshold);
  const hits = said.filter((answer) => answer.label === label).length;
  const there = answers.filter((answer) => answer.label === label).length;
  return { precision: hits / said.length, recall: hits / there, said: said.length };
}

/** From here up no two labels can be named at once. */
const LOWEST = 0.5;
const HIGHEST = 0.99;

/** The lowest threshold, in hundredths, at which a label is right in `precision` of the cases; 0.99 if there is none. */
export function thresholdFor(answers: readonly Answer[], label: string, precision: number): number {
  for (let hundredths = 100 * LOWEST; hundredths < 100 * HIGHEST; hundredths++) {
    const threshold = hundredths / 100;
    if (precisionAndRecall(answers, label, threshold).precision >= precision) return threshold;
  }
  return HIGHEST;
}

/** The wrong answers, the most confident first. */
export function failures(answers: readonly Answer[], count: number): Answer[] {
  return answers
    .filter((answer) => first(answer).label !== answer.label)
    .sort((a, b) => first(b).score - first(a).score)
    .slice(0, count);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

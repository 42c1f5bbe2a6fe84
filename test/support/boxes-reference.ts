/** The plain way from a detector's numbers to objects, to compare the fast one with. */

export interface ReferenceObject {
  kind: number;
  score: number;
  corners: [number, number, number, number];
}

interface Candidate extends ReferenceObject {
  /** Place among all of the same score. */
  order: number;
}

/** Boxes of `centre` anchors, written from the formulas of the SSD paper. */
export function centreBoxes(
  deltas: readonly number[],
  anchors: readonly number[],
  scales: { y: number; x: number; h: number; w: number },
): [number, number, number, number][] {
  return Array.from({ length: anchors.length / 4 }, (_, row) => {
    const [dy, dx, dh, dw] = deltas.slice(4 * row, 4 * row + 4) as [number, number, number, number];
    const [ay, ax, ah, aw] = anchors.slice(4 * row, 4 * row + 4) as [number, number, number, number];
    const [y, x] = [ay + (dy / scales.y) * ah, ax + (dx / scales.x) * aw];
    const [h, w] = [ah * Math.exp(dh / scales.h), aw * Math.exp(dw / scales.w)];
    return [x - w / 2, y - h / 2, x + w / 2, y + h / 2];
  });
}

/** Greedy suppression of everything that is above the limit. */
export function referenceObjects(
  boxes: readonly [number, number, number, number][],
  scores: readonly (readonly number[])[],
  {
    score,
    overlap,
    most,
    suppression,
  }: { score: number; overlap: number; most: number; suppression: string },
): ReferenceObject[] {
  const all = boxes.flatMap((corners, row): Candidate[] =>
    scores[row]!.map((value, kind) => ({
      kind,
      score: value,
      corners,
      order: row * scores[row]!.length + kind,
    })),
  );
  const best = (candidate: Candidate) => {
    const row = scores[Math.floor(candidate.order / scores[0]!.length)]!;
    return row.indexOf(Math.max(...row)) === candidate.kind;
  };
  const waiting = all
    .filter((candidate) => candidate.score >= score && (suppression === 'class' || best(candidate)))
    .sort((a, b) => b.score - a.score || a.order - b.order);
  const kept: ReferenceObject[] = [];
  for (const { kind, score: value, corners } of waiting) {
    const rivals = kept.filter((other) => suppression === 'all' || other.kind === kind);
    if (rivals.every((other) => intersectionOverUnion(other.corners, corners) <= overlap)) {
      kept.push({ kind, score: value, corners });
    }
  }
  return kept.slice(0, most);
}

export function intersectionOverUnion(a: readonly number[], b: readonly number[]): number {
  const [ax1 = 0, ay1 = 0, ax2 = 0, ay2 = 0] = a;
  const [bx1 = 0, by1 = 0, bx2 = 0, by2 = 0] = b;
  const wide = Math.max(0, Math.min(ax2, bx2) - Math.max(ax1, bx1));
  const high = Math.max(0, Math.min(ay2, by2) - Math.max(ay1, by1));
  const union = (ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1) - wide * high;
  return union > 0 ? (wide * high) / union : 0;
}

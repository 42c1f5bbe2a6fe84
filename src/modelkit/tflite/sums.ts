/**
 * Makes sums of two values round as in TensorFlow Lite.
 *
 * There (XNNPACK, qs8-vadd) each term is multiplied by a 21-bit factor to the step of the sum, in integers, and ties round
 * up. ONNX Runtime does the same with 24-bit floats and rounds ties to even. A few of the 65 536 pairs of bytes are so
 * close to a tie that the results differ, and one such sum can change the last layer by a step. Scales that differ in
 * their last bits move those pairs away from the tie, each to its correct side.
 */

/** One term: its scale, and its integers minus the zero point. */
export interface Term {
  scale: number;
  steps: readonly number[];
}

/** Bits of the larger factor after the first. */
const FACTOR_BITS = 20;
/** Pairs farther than this from a tie, in steps, cannot reach it. */
const NEAR = 2 ** -11;
/** Units in the last place, up and down, that are tried. */
const REACH = 12;

/**
 * @param terms the operands; a subtracted one has its `steps` negated
 * @param step of the sum
 * @returns scales for the terms
 */
export function scalesOfTerms(terms: readonly [Term, Term], step: number): [number, number] {
  const ratios = terms.map(({ scale }) => Math.fround(scale / step)) as [number, number];
  const unit = 2 ** (Math.floor(Math.log2(Math.max(...ratios))) - FACTOR_BITS);
  const factors = ratios.map((ratio) => Math.round(ratio / unit) * unit) as [number, number];
  const near = pairsNearTies(terms, factors);
  let best = { margin: Number.NEGATIVE_INFINITY, distance: 0, scales: terms.map(({ scale }) => scale) };
  for (const first of neighbours(terms[0].scale)) {
    for (const second of neighbours(terms[1].scale)) {
      const [a, b] = [Math.fround(first.scale / step), Math.fround(second.scale / step)];
      const margin = near.reduce(
        (least, { x, y, tie, side }) => Math.min(least, side * (x * a + y * b - tie)),
        NEAR,
      );
      const distance = Math.abs(first.bits) + Math.abs(second.bits);
      if (margin > best.margin || (margin === best.margin && distance < best.distance)) {
        best = { margin, distance, scales: [first.scale, second.scale] };
      }
    }
  }
  return best.scales as [number, number];
}

interface Pair {
  x: number;
  y: number;
  tie: number;
  /** 1 for a sum that rounds up. */
  side: 1 | -1;
}

function pairsNearTies([first, second]: readonly [Term, Term], [a, b]: readonly [number, number]): Pair[] {
  const pairs: Pair[] = [];
  for (const x of first.steps) {
    for (const y of second.steps) {
      const sum = x * a + y * b;
      const tie = Math.floor(sum) + 0.5;
      if (Math.abs(sum - tie) < NEAR) pairs.push({ x, y, tie, side: sum >= tie ? 1 : -1 });
    }
  }
  return pairs;
}

/** The floats around a scale. */
function neighbours(scale: number): { scale: number; bits: number }[] {
  const unit = 2 ** (Math.floor(Math.log2(scale)) - 23);
  return Array.from({ length: 2 * REACH + 1 }, (_, index) => ({
    scale: Math.fround(scale + (index - REACH) * unit),
    bits: index - REACH,
  }));
}

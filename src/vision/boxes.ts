/**
 * From a detector's numbers to objects:
 *
 *   scores ─▶ best candidates (a heap) ─▶ sorted ─▶ box of each decoded ─▶ suppressed by better ones, or kept
 *
 * Only candidates above the score limit are decoded. All memory is allocated once.
 */
import { GRID_COLUMNS } from '../model/box-grid.ts';
import type { BoxDescription } from '../model/boxes.ts';
import type { ModelDescription } from '../model/description.ts';

/** More candidates than this are never compared with each other; the best ones count. */
const MOST_CANDIDATES = 1024;
/** Candidates are numbered row × classes + class, below this. */
const MOST_NUMBERS = 2 ** 22;

export type BoxLimits = Pick<BoxDescription, 'score' | 'overlap' | 'most' | 'suppression'>;

/** The objects of one image, valid until the next one is decoded. Only the first `count` of each list count. */
export interface Found {
  count: number;
  /** Index of the label. */
  readonly classes: Int32Array;
  readonly scores: Float32Array;
  /** x1, y1, x2, y2 of each in fractions of the model's input; they may lie beyond its edges. */
  readonly corners: Float32Array;
}

export class BoxDecoder {
  readonly #boxes: BoxDescription;
  readonly #limits: BoxLimits;
  readonly #classes: number;
  readonly #columns: number;
  /** Elements in front of the first label's score in each row. */
  readonly #first: number;
  readonly #logits: boolean;
  /** What the elements are compared with. */
  readonly #least: number;
  readonly #anchors: Float32Array;
  readonly #skipped: Uint8Array;
  /** A heap of the best candidates, the worst first: score and number in one, so that equal scores keep their order. */
  readonly #keys = new Float64Array(MOST_CANDIDATES);
  #candidates = 0;
  readonly #float = new Float32Array(1);
  readonly #bits = new Uint32Array(this.#float.buffer);
  readonly #box = new Float32Array(4);
  readonly #found: Found;

  /**
   * @param description of a detector
   * @param limits other than those of the description
   */
  constructor(
    { boxes, input, labels, background, output }: ModelDescription,
    limits: Partial<BoxLimits> = {},
  ) {
    if (!boxes) throw new TypeError('the description has no boxes');
    this.#boxes = boxes;
    this.#limits = { ...boxes, ...limits };
    this.#classes = labels.length;
    const grid = boxes.coding === 'grid';
    this.#first = (grid ? GRID_COLUMNS : 0) + boxes.offset;
    this.#columns = this.#first + labels.length;
    this.#logits = output.kind === 'logits';
    const { score, most } = this.#limits;
    this.#least = this.#logits ? Math.log(score / (1 - score)) : score;
    this.#anchors = grid ? gridAnchors(input, boxes.strides) : Float32Array.from(boxes.anchors);
    if ((this.#anchors.length / 4) * labels.length >= MOST_NUMBERS)
      throw new RangeError('too many candidates');
    this.#skipped = Uint8Array.from(labels, (label) => (background.includes(label) ? 1 : 0));
    this.#found = {
      count: 0,
      classes: new Int32Array(most),
      scores: new Float32Array(most),
      corners: new Float32Array(4 * most),
    };
  }

  /**
   * @param scores one row for each candidate
   * @param boxes four numbers for each candidate; for `grid` the same as `scores`
   * @returns the objects, the best first
   */
  decode(scores: Float32Array, boxes: Float32Array): Found {
    this.#candidates = 0;
    if (this.#boxes.coding === 'grid') this.#collectGrid(scores);
    else if (this.#limits.suppression === 'class') this.#collectAll(scores);
    else this.#collectBest(scores);
    const count = this.#sort();
    const found = this.#found;
    found.count = 0;
    for (let rank = 0; rank < count && found.count < this.#limits.most; rank++) {
      const number = MOST_NUMBERS - 1 - (this.#keys[rank]! % MOST_NUMBERS);
      const row = Math.floor(number / this.#classes);
      this.#decodeBox(boxes, row);
      const kind = number - row * this.#classes;
      if (this.#isSuppressed(kind)) continue;
      const place = found.count++;
      found.classes[place] = kind;
      this.#bits[0] = Math.floor(this.#keys[rank]! / MOST_NUMBERS);
      found.scores[place] = this.#float[0]!;
      for (let side = 0; side < 4; side++) found.corners[4 * place + side] = this.#box[side]!;
    }
    return found;
  }

  /** One loop over all elements, eight at a time: hardly any of them is above the limit. */
  #collectAll(scores: Float32Array): void {
    const least = this.#least;
    const { length } = scores;
    const end = length - (length % 8);
    for (let at = 0; at < end; at += 8) {
      if (
        scores[at]! >= least ||
        scores[at + 1]! >= least ||
        scores[at + 2]! >= least ||
        scores[at + 3]! >= least ||
        scores[at + 4]! >= least ||
        scores[at + 5]! >= least ||
        scores[at + 6]! >= least ||
        scores[at + 7]! >= least
      ) {
        for (let one = at; one < at + 8; one++) this.#addElement(scores[one]!, one);
      }
    }
    for (let at = end; at < length; at++) this.#addElement(scores[at]!, at);
  }

  #addElement(element: number, at: number): void {
    if (!(element >= this.#least)) return;
    const row = Math.floor(at / this.#columns);
    const kind = at - row * this.#columns - this.#first;
    if (kind >= 0) this.#add(element, row * this.#classes + kind);
  }

  #collectBest(scores: Float32Array): void {
    const classes = this.#classes;
    for (let row = 0, at = this.#first; at < scores.length; row++, at += this.#columns) {
      let best = 0;
      for (let kind = 1; kind < classes; kind++) if (scores[at + kind]! > scores[at + best]!) best = kind;
      if (scores[at + best]! >= this.#least) this.#add(scores[at + best]!, row * classes + best);
    }
  }

  /** A score is that of the class times that of any object, so most rows need not be read. */
  #collectGrid(rows: Float32Array): void {
    const least = this.#least;
    const classes = this.#classes;
    const one = this.#limits.suppression === 'all';
    for (let row = 0, at = this.#first; at < rows.length; row++, at += this.#columns) {
      const object = rows[at - 1]!;
      if (object < least) continue;
      let best = -1;
      for (let kind = 0; kind < classes; kind++) {
        if (object * rows[at + kind]! < least) continue;
        if (!one) this.#add(object * rows[at + kind]!, row * classes + kind);
        else if (best < 0 || rows[at + kind]! > rows[at + best]!) best = kind;
      }
      if (best >= 0) this.#add(object * rows[at + best]!, row * classes + best);
    }
  }

  /** Puts a candidate on the heap, in the place of the worst one if there is no room. */
  #add(element: number, number: number): void {
    if (this.#skipped[number % this.#classes]) return;
    // The bits of positive floats have the order of the floats.
    this.#float[0] = this.#logits ? 1 / (1 + Math.exp(-element)) : element;
    const key = this.#bits[0]! * MOST_NUMBERS + (MOST_NUMBERS - 1 - number);
    const keys = this.#keys;
    if (this.#candidates === MOST_CANDIDATES) {
      if (key > keys[0]!) this.#sink(key, MOST_CANDIDATES);
      return;
    }
    let at = this.#candidates++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (keys[parent]! <= key) break;
      keys[at] = keys[parent]!;
      at = parent;
    }
    keys[at] = key;
  }

  /** Sorts the heap, the best first. @returns how many there are */
  #sort(): number {
    const keys = this.#keys;
    for (let end = this.#candidates - 1; end > 0; end--) {
      const last = keys[end]!;
      keys[end] = keys[0]!;
      this.#sink(last, end);
    }
    return this.#candidates;
  }

  /** Puts a key in the place of the first of `length`. */
  #sink(key: number, length: number): void {
    const keys = this.#keys;
    let at = 0;
    for (let child = 1; child < length; child = 2 * at + 1) {
      if (child + 1 < length && keys[child + 1]! < keys[child]!) child++;
      if (keys[child]! >= key) break;
      keys[at] = keys[child]!;
      at = child;
    }
    keys[at] = key;
  }

  #isSuppressed(kind: number): boolean {
    const { overlap, suppression } = this.#limits;
    const { count, classes, corners } = this.#found;
    for (let place = 0; place < count; place++) {
      if (suppression === 'class' && classes[place] !== kind) continue;
      if (overlapOf(this.#box, corners, 4 * place) > overlap) return true;
    }
    return false;
  }

  #decodeBox(boxes: Float32Array, row: number): void {
    const box = this.#box;
    const anchors = this.#anchors;
    const at = 4 * row;
    const { coding, scales } = this.#boxes;
    if (coding === 'corners') {
      const width = anchors[at + 2]! - anchors[at]!;
      const height = anchors[at + 3]! - anchors[at + 1]!;
      for (let side = 0; side < 4; side++) {
        box[side] = boxes[at + side]! * (side % 2 ? height : width) + anchors[at + side]!;
      }
      return;
    }
    const grid = coding === 'grid';
    const from = grid ? row * this.#columns : at;
    // Anchors are y, x, h, w. The deltas of `grid` begin with x and w.
    const height = anchors[at + 2]!;
    const width = anchors[at + 3]!;
    const y = anchors[at]! + (boxes[from + (grid ? 1 : 0)]! / scales.y) * height;
    const x = anchors[at + 1]! + (boxes[from + (grid ? 0 : 1)]! / scales.x) * width;
    const halfHeight = (Math.exp(boxes[from + (grid ? 3 : 2)]! / scales.h) * height) / 2;
    const halfWidth = (Math.exp(boxes[from + (grid ? 2 : 3)]! / scales.w) * width) / 2;
    box[0] = x - halfWidth;
    box[1] = y - halfHeight;
    box[2] = x + halfWidth;
    box[3] = y + halfHeight;
  }
}

/** Intersection over union of a box and the one that begins at `at`. */
function overlapOf(a: Float32Array, b: Float32Array, at: number): number {
  const width = Math.min(a[2]!, b[at + 2]!) - Math.max(a[0]!, b[at]!);
  const height = Math.min(a[3]!, b[at + 3]!) - Math.max(a[1]!, b[at + 1]!);
  if (width <= 0 || height <= 0) return 0;
  const both = width * height;
  const areaA = (a[2]! - a[0]!) * (a[3]! - a[1]!);
  const areaB = (b[at + 2]! - b[at]!) * (b[at + 3]! - b[at + 1]!);
  return both / (areaA + areaB - both);
}

/** The upper left corner and the size of each cell: y, x, h, w, in fractions of the input. */
function gridAnchors(
  { width, height }: { width: number; height: number },
  strides: readonly number[],
): Float32Array {
  const anchors: number[] = [];
  for (const stride of strides) {
    for (let y = 0; y < height; y += stride) {
      for (let x = 0; x < width; x += stride) {
        anchors.push(y / height, x / width, stride / height, stride / width);
      }
    }
  }
  return Float32Array.from(anchors);
}

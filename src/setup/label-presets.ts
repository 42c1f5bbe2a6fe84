/**
 * Groups for models that know the 1000 classes of ImageNet (ILSVRC 2012). Those classes always come in the order
 * of their WordNet numbers, with or without a "background" in front, while their names differ from file to file:
 * so the groups are kept as class numbers, and users need not list 118 breeds of dogs.
 */
import type { LabelOverride } from '../config/schema.ts';

export interface Preset {
  /** Group → classes of the model. */
  groups: Record<string, number[]>;
  /** What makes events unless the model's description or the configuration says so. */
  events: Record<string, LabelOverride>;
  /** What people expect to find and why it is not there. */
  absent: Record<string, string>;
}

type Classes = (number | [first: number, last: number])[];

const CAR: Classes = [
  407, 436, 468, 511, 573, 609, 627, 656, 661, 717, 751, 817,
  // Close-ups: car mirror, car wheel, radiator grille.
  475, 479, 581,
];
const TRUCK: Classes = [555, 569, 675, 734, 757, 803, 864, 867];
const BUS: Classes = [654, 705, 779, 829, 874];
const MOTORCYCLE: Classes = [535, 665, 670];

/** Group → ImageNet classes, 0 = tench … 999 = toilet tissue. */
const IMAGENET: Record<string, Classes> = {
  bear: [[294, 297]],
  bicycle: [444, 671, 870, 880],
  bird: [
    [7, 24],
    [80, 100],
    [127, 146],
  ],
  boat: [403, 472, 484, 510, 554, 576, 625, 628, 724, 780, 814, 871, 914],
  bus: BUS,
  car: CAR,
  cat: [[281, 285]],
  cow: [345],
  /** Antelopes: ImageNet has no deer, and this is what they look like to it. */
  deer: [[351, 353]],
  dog: [[151, 268]],
  fox: [[277, 280]],
  horse: [339],
  motorcycle: MOTORCYCLE,
  pig: [341, 342],
  rabbit: [[330, 332]],
  sheep: [348, 349],
  squirrel: [335],
  train: [466, 547, 565, 705, 820],
  truck: TRUCK,
  /** Whatever drives on a road by motor. */
  vehicle: [...CAR, ...TRUCK, ...BUS, ...MOTORCYCLE, 408, 561, 575, 586, 802, 866],
  wolf: [[269, 272]],
};

const LANDMARKS: [number, RegExp][] = [
  [0, /^tench\b/i],
  [207, /^golden retriever\b/i],
  [281, /^tabby\b/i],
  [817, /^sports car\b/i],
  [999, /^toilet (tissue|paper)\b/i],
];

/** The preset for a model's labels, or null when they are no known set. */
export function presetFor(labels: readonly string[]): Preset | null {
  const offset = labels.length - 1000;
  if (offset !== 0 && offset !== 1) return null;
  if (!LANDMARKS.every(([number, name]) => name.test(labels[number + offset] ?? ''))) return null;

  const groups = Object.fromEntries(
    Object.entries(IMAGENET).map(([group, classes]) => [group, expand(classes).map((n) => n + offset)]),
  );
  return {
    groups,
    // Birds, cats and vehicles are hardly ever seen where there are none; dogs are, in deer and cats.
    events: { bird: { on: 0.4 }, cat: { on: 0.4 }, dog: {}, vehicle: { on: 0.4 } },
    absent: { person: 'ImageNet has no class for people' },
  };
}

function expand(classes: Classes): number[] {
  return classes.flatMap((entry) => {
    if (typeof entry === 'number') return [entry];
    const [first, last] = entry;
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

/** From clusters of changed cells to a few squarish regions that are worth showing to the model. */
import type { MotionConfig } from '../config/schema.ts';
import { type Orientation, toUpright, uprightSize } from '../pixels/orientation.ts';
import type { Box } from '../types.ts';
import type { Cluster } from './clusters.ts';
import type { Moving } from './gate.ts';
import { overlapOf, unionOf } from './zones.ts';

/** Clusters that come this close, as a share of the picture's width, are parts of one thing. */
const PART_DISTANCE = 0.03;
/** A part counts from this share of the smallest moving area. */
const LEAST_PART = 0.1;
/** Room on each side of what moves, as a share of its size. */
const MARGIN = 0.15;
/** The least side of a region, as a share of the picture's shorter side. */
const LEAST_SIDE = 0.25;
/** Regions that share more than this become one. */
const SAME = 0.5;

/** A grid of cells laid over the raw picture. */
interface Grid {
  width: number;
  height: number;
}

/**
 * At most `max_regions` moving things, the largest first, in the upright picture.
 * @param clusters of cells of `grid`
 */
export function toRegions(
  clusters: readonly Cluster[],
  grid: Grid,
  orientation: Orientation,
  config: Pick<MotionConfig, 'min_area' | 'max_regions'>,
): Moving[] {
  const leastCells = config.min_area * grid.width * grid.height;
  const things = joinParts(
    clusters.filter(({ cells }) => cells >= leastCells * LEAST_PART),
    PART_DISTANCE * grid.width,
  )
    .filter(({ cells }) => cells >= leastCells)
    .sort((a, b) => b.cells - a.cells);
  const upright = uprightSize(grid, orientation);
  let regions: Moving[] = [];
  for (const thing of things) {
    const raw = {
      x: thing.left / grid.width,
      y: thing.top / grid.height,
      w: (thing.right - thing.left) / grid.width,
      h: (thing.bottom - thing.top) / grid.height,
    };
    let core = toUpright(raw, orientation);
    let box = surround(core, upright);
    for (const other of regions.filter((region) => overlapOf(region.box, box) > SAME)) {
      core = unionOf(core, other.core);
      box = surround(core, upright);
      regions = regions.filter((region) => region !== other);
    }
    regions.push({ core, box });
  }
  return regions.slice(0, config.max_regions);
}

/** Joins clusters until none is closer than `distance` cells to another. */
function joinParts(clusters: readonly Cluster[], distance: number): Cluster[] {
  const joined: Cluster[] = [];
  for (let cluster of clusters) {
    for (;;) {
      const index = joined.findIndex((other) => gap(cluster, other) < distance);
      if (index < 0) break;
      const [other] = joined.splice(index, 1);
      cluster = {
        left: Math.min(cluster.left, other!.left),
        top: Math.min(cluster.top, other!.top),
        right: Math.max(cluster.right, other!.right),
        bottom: Math.max(cluster.bottom, other!.bottom),
        cells: cluster.cells + other!.cells,
      };
    }
    joined.push(cluster);
  }
  return joined;
}

/** Cells between two clusters, the longer way of across and down; negative when they overlap. */
function gap(a: Cluster, b: Cluster): number {
  const across = Math.max(a.left, b.left) - Math.min(a.right, b.right);
  const down = Math.max(a.top, b.top) - Math.min(a.bottom, b.bottom);
  return Math.max(across, down);
}

/** A box around another with room on each side: square in pixels where the picture is large enough for it. */
function surround(core: Box, { width, height }: Grid): Box {
  const longer = Math.max(core.w * width, core.h * height) * (1 + 2 * MARGIN);
  const side = Math.max(longer, LEAST_SIDE * Math.min(width, height));
  const [w, h] = [Math.min(1, side / width), Math.min(1, side / height)];
  return {
    x: Math.min(1 - w, Math.max(0, core.x + core.w / 2 - w / 2)),
    y: Math.min(1 - h, Math.max(0, core.y + core.h / 2 - h / 2)),
    w,
    h,
  };
}

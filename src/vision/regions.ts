/** Turns clusters of changed cells into a few nearly square regions to classify. */
import type { MotionConfig } from '../config/schema.ts';
import { type Orientation, toUpright, uprightSize } from '../pixels/orientation.ts';
import type { Box } from '../types.ts';
import type { Cluster } from './clusters.ts';
import type { MovingObject } from './gate.ts';
import { overlapOf, unionOf } from './zones.ts';

/** Clusters that are at most this far apart, as a share of the frame's width, are parts of one object. */
const PART_DISTANCE = 0.03;
/** Smallest part that counts, as a share of `min_area`. */
const LEAST_PART = 0.1;
/** Margin on each side of a moving object, as a share of its size. */
const MARGIN = 0.15;
/** Minimum side of a region, as a share of the frame's shorter side. */
const LEAST_SIDE = 0.25;
/** Regions that overlap by more than this become one. */
const SAME_OVERLAP = 0.5;

/** The grid of cells over the raw frame. */
interface Grid {
  width: number;
  height: number;
}

/**
 * At most `max_regions` moving objects, the largest first, in the upright frame.
 * @param clusters of cells of `grid`
 */
export function toRegions(
  clusters: readonly Cluster[],
  grid: Grid,
  orientation: Orientation,
  config: Pick<MotionConfig, 'min_area' | 'max_regions'>,
): MovingObject[] {
  const leastCells = config.min_area * grid.width * grid.height;
  const objects = joinParts(
    clusters.filter(({ cells }) => cells >= leastCells * LEAST_PART),
    PART_DISTANCE * grid.width,
  )
    .filter(({ cells }) => cells >= leastCells)
    .sort((a, b) => b.cells - a.cells);
  const upright = uprightSize(grid, orientation);
  let regions: MovingObject[] = [];
  for (const object of objects) {
    const raw = {
      x: object.left / grid.width,
      y: object.top / grid.height,
      w: (object.right - object.left) / grid.width,
      h: (object.bottom - object.top) / grid.height,
    };
    let core = toUpright(raw, orientation);
    let box = surround(core, upright);
    for (const other of regions.filter((region) => overlapOf(region.box, box) > SAME_OVERLAP)) {
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

/** Cells between two clusters, the larger of the horizontal and vertical gap; negative when they overlap. */
function gap(a: Cluster, b: Cluster): number {
  const across = Math.max(a.left, b.left) - Math.min(a.right, b.right);
  const down = Math.max(a.top, b.top) - Math.min(a.bottom, b.bottom);
  return Math.max(across, down);
}

/** A box around another with a margin on each side: square in pixels where the frame is large enough. */
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

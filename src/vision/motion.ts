/**
 * Detects motion in the frames of one camera:
 *
 *   luma ─▶ coarse grid ─▶ light of the whole frame ─▶ changed cells ─▶ local light ─▶ clusters ─▶ regions to classify
 *                                     ▲                        │               │
 *                                     └───── background ◀──────┴───────────────┘
 */
import type { MotionConfig } from '../config/schema.ts';
import { LEVEL, type PixelMemory } from '../pixels/kernels.ts';
import type { Orientation } from '../pixels/orientation.ts';
import type { FrameFormat } from '../types.ts';
import { Background, type Tolerance } from './background.ts';
import { ClusterFinder } from './clusters.ts';
import type { Motion } from './gate.ts';
import { LumaGrid } from './grid.ts';
import { type Lighting, LightingFit } from './lighting.ts';
import { toRegions } from './regions.ts';
import { Relighting } from './relighting.ts';

/** How long the background is learnt at the start, and again after the light changed. */
const WARM_UP_FRAMES = 3;
const WARM_UP_MS = 1000;
const SETTLE_MS = 1000;
/** Time constants in ms: of the background of an unchanged cell, and of the acceptance of a changed one. */
const FORGET_MS = 10_000;
const ACCEPT_MS = 60_000;
/** A change of light is a light switch if it is at least this strong (in levels, or as a share of the contrast) … */
const STRONG_SHIFT = 20;
const STRONG_GAIN = 0.3;
/** … or leaves at least this share of the frame unexplained. */
const UNEXPLAINED = 0.25;

const STILL: Motion = { share: 0, lightSwitch: false, relit: false, moving: [] };
const LIGHT_SWITCH: Motion = { ...STILL, lightSwitch: true };
const SAME_LIGHT: Lighting = { gain: 1, offset: 0 };

/** The grid and its tools for one frame size. */
interface Raster {
  format: FrameFormat;
  grid: LumaGrid;
  finder: ClusterFinder;
  relighting: Relighting;
}

export class MotionDetector {
  readonly #config: MotionConfig;
  readonly #orientation: Orientation;
  readonly #tolerance: Tolerance;
  readonly #lighting = new LightingFit();
  #raster: Raster | null = null;
  #background: Background | null = null;
  #frames = 0;
  #startedAt = 0;
  #settledAt = 0;
  #lastAt = 0;

  constructor(config: MotionConfig, orientation: Orientation) {
    this.#config = config;
    this.#orientation = orientation;
    this.#tolerance = toleranceOf(config.sensitivity);
  }

  /**
   * Compares the frame at the beginning of the memory with the background learnt from earlier frames.
   * @param now milliseconds on the monotonic clock
   */
  detect(memory: PixelMemory, format: FrameFormat, now: number): Motion {
    const { grid, finder, relighting } = this.#rasterFor(format);
    const cells = grid.read(memory);
    const elapsed = now - this.#lastAt;
    this.#lastAt = now;
    if (!this.#background) {
      this.#background = new Background(cells);
      this.#startedAt = now;
      this.#frames = 1;
      return STILL;
    }
    const background = this.#background;
    if (this.#frames < WARM_UP_FRAMES || now - this.#startedAt < WARM_UP_MS) {
      this.#frames++;
      background.learn(cells, SAME_LIGHT, 1 / this.#frames, 1 / this.#frames);
      return STILL;
    }

    const light = this.#lighting.fit(cells, background.mean, LEVEL);
    const withoutLight = background.compare(cells, light, this.#tolerance);
    if (this.#isSwitch(light, withoutLight / cells.length, background)) this.#settledAt = now + SETTLE_MS;
    if (now < this.#settledAt) {
      background.adopt(cells);
      return LIGHT_SWITCH;
    }
    const quiet = rate(elapsed / FORGET_MS);
    const accept = rate(elapsed / ACCEPT_MS);
    const least = this.#config.min_area * cells.length;
    if (background.changed.length < least) {
      background.learn(cells, light, quiet, accept);
      return STILL;
    }
    relighting.explain(cells, background);
    const clusters = finder.find(background.mask, background.changed);
    const relit = relighting.settle(clusters, background) >= least;
    if (relit) {
      background.adoptUnchanged(cells);
      if (background.changed.length > 0) background.learn(cells, SAME_LIGHT, 0, accept);
    } else background.learn(cells, light, quiet, accept);
    const moving = toRegions(clusters, grid, this.#orientation, this.#config);
    const moved = moving.length === 0 ? 0 : clusters.reduce((sum, cluster) => sum + cluster.cells, 0);
    return { share: moved / cells.length, lightSwitch: false, relit, moving };
  }

  #isSwitch({ gain, offset }: Lighting, withoutLight: number, { mean, changed }: Background): boolean {
    if (withoutLight <= this.#config.light_switch) return false;
    const average = mean.reduce((sum, cell) => sum + cell, 0) / mean.length;
    const shift = (gain - 1) * average + offset;
    const strong = Math.abs(shift) > STRONG_SHIFT * LEVEL || Math.abs(gain - 1) > STRONG_GAIN;
    return strong || changed.length > UNEXPLAINED * mean.length;
  }

  /** The raster for this frame size; a new size restarts the learning. */
  #rasterFor(format: FrameFormat): Raster {
    const old = this.#raster?.format;
    const { width, height, pixels } = format;
    if (!this.#raster || old?.width !== width || old.height !== height || old.pixels !== pixels) {
      const grid = new LumaGrid(format);
      this.#raster = { format, grid, finder: new ClusterFinder(grid), relighting: new Relighting(grid) };
      this.#background = null;
    }
    return this.#raster;
  }
}

function rate(share: number): number {
  return Math.min(0.5, share);
}

/** @param sensitivity 1…10; at 5, differences above 8 levels + 5 times the jitter count as changes */
function toleranceOf(sensitivity: number): Tolerance {
  return { least: 25 * 0.8 ** sensitivity, spread: 8.5 * 0.9 ** sensitivity };
}

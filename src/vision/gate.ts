/** Decides for each frame of one camera whether it is analysed, which regions, and why. */
import { WHOLE } from '../pixels/orientation.ts';
import type { Box, Gate, Region } from '../types.ts';
import type { WatchedCamera } from './thread-messages.ts';
import { boundsOf, commonArea, overlapOf, type Polygon } from './zones.ts';

/** A moving object: the box of the cells that changed, and the larger box to classify. */
export interface MovingObject {
  core: Box;
  box: Box;
}

/** What motion detection found in one frame. */
export interface Motion {
  /** Share of the frame that moved, 0…1. */
  share: number;
  /** The light of the whole frame changed: differences carry no information at the moment. */
  lightSwitch: boolean;
  /** The light changed in a part of the frame. */
  relit: boolean;
  moving: MovingObject[];
}

export interface Verdict {
  gate: Gate;
  regions: Region[];
}

/** Milliseconds between two analyses of the region of an open event while nothing moves. */
const EVENT_INTERVAL_MS = 1000;
/** Boxes that overlap by more than this show the same object. */
const SAME_OVERLAP = 0.5;

export class Gatekeeper {
  readonly #config: WatchedCamera;
  readonly #zones: { name: string; polygon: Polygon; box: Box }[];
  #open: readonly Region[] = [];
  /** The objects that moved last, and when: `motion.linger` keeps them for a while. */
  #moving: readonly MovingObject[] = [];
  #movedAt = Number.NEGATIVE_INFINITY;
  #analysedAt = Number.NEGATIVE_INFINITY;
  #openAnalysedAt = Number.NEGATIVE_INFINITY;

  constructor(config: WatchedCamera) {
    this.#config = config;
    this.#zones = Object.entries(config.zones).map(([name, { polygon }]) => ({
      name,
      polygon,
      box: boundsOf(polygon),
    }));
  }

  /** Sets the regions of open events, which are analysed even when nothing moves. */
  setOpen(regions: readonly Region[]): void {
    this.#open = regions;
  }

  /** @param now milliseconds on the monotonic clock */
  judge(motion: Motion, now: number): Verdict {
    if (motion.moving.length > 0) {
      this.#moving = motion.moving;
      this.#movedAt = now;
    }
    const verdict = this.#verdict(motion, now);
    if (verdict.regions.length > 0) this.#analysedAt = now;
    if (this.#open.length > 0 && verdict.regions.length > 0) this.#openAnalysedAt = now;
    return verdict;
  }

  #verdict({ lightSwitch, relit, moving }: Motion, now: number): Verdict {
    const { gate, interval, motion } = this.#config;
    if (gate === 'always') {
      const found = this.#config.classify === 'motion' ? this.#moved(moving) : [];
      return { gate: 'always', regions: this.#withOpen(found.length > 0 ? found : this.#everything()) };
    }
    if (!lightSwitch && now - this.#movedAt <= motion.linger * 1000) {
      const moved = this.#moved(this.#moving);
      if (moved.length > 0) return { gate: 'motion', regions: this.#withOpen(moved) };
    }
    if (this.#open.length > 0 && now - this.#openAnalysedAt >= EVENT_INTERVAL_MS) {
      return { gate: 'event', regions: this.#withOpen([]) };
    }
    if (lightSwitch) return { gate: 'light-switch', regions: [] };
    if (interval > 0 && now - this.#analysedAt >= interval * 1000) {
      return { gate: 'interval', regions: this.#everything() };
    }
    return { gate: relit ? 'light-switch' : 'still', regions: [] };
  }

  /** Everything that the camera is configured to classify, moving or not. */
  #everything(): Region[] {
    if (this.#config.classify === 'zones' && this.#zones.length > 0) {
      return this.#zones.map(({ name, box }) => ({ box, zone: name }));
    }
    return [{ box: WHOLE, zone: null }];
  }

  /** The regions to classify when these objects move. */
  #moved(moving: readonly MovingObject[]): Region[] {
    if (moving.length === 0) return [];
    switch (this.#config.classify) {
      case 'frame':
        return [{ box: WHOLE, zone: null }];
      case 'zones': {
        if (this.#zones.length === 0) return [{ box: WHOLE, zone: null }];
        const touched = this.#zones.filter(({ polygon }) =>
          moving.some(({ core }) => commonArea(polygon, core) > 0),
        );
        return touched.map(({ name, box }) => ({ box, zone: name }));
      }
      case 'motion':
        return moving.map(({ core, box }) => ({ box, zone: this.#zoneOf(core) }));
    }
  }

  /** The zone that covers the largest part of a box; null when none touches it. */
  #zoneOf(box: Box): string | null {
    let zone = null;
    let most = 0;
    for (const { name, polygon } of this.#zones) {
      const area = commonArea(polygon, box);
      if (area > most) [zone, most] = [name, area];
    }
    return zone;
  }

  /** Adds the regions of open events that the given regions do not cover already. */
  #withOpen(regions: Region[]): Region[] {
    const all = [...regions];
    for (const open of this.#open) {
      const shown = all.some(
        ({ box, zone }) => zone === open.zone && overlapOf(box, open.box) > SAME_OVERLAP,
      );
      if (!shown) all.push(open);
    }
    return all;
  }
}

import type { CameraConfig } from '../config/schema.ts';
import type { Box } from '../types.ts';

/** The rotation of a camera's frames: clockwise, then mirrored. */
export type Transform = Pick<CameraConfig, 'rotate' | 'mirror'>;

/** The same as steps from the raw frame to the upright one: swap x and y, then flip along upright x, upright y. */
export interface Orientation {
  swap: boolean;
  flipX: boolean;
  flipY: boolean;
}

export function orientationOf({ rotate, mirror }: Transform): Orientation {
  return {
    swap: rotate === 90 || rotate === 270,
    flipX: (rotate === 90 || rotate === 180) !== (mirror === 'horizontal'),
    flipY: (rotate === 180 || rotate === 270) !== (mirror === 'vertical'),
  };
}

export const WHOLE: Readonly<Box> = { x: 0, y: 0, w: 1, h: 1 };

/** A box of the upright frame as a box of the raw frame. */
export function toRaw(box: Box, { swap, flipX, flipY }: Orientation): Box {
  const x = flipX ? 1 - box.x - box.w : box.x;
  const y = flipY ? 1 - box.y - box.h : box.y;
  return swap ? { x: y, y: x, w: box.h, h: box.w } : { x, y, w: box.w, h: box.h };
}

/** A box of the raw frame as a box of the upright frame. */
export function toUpright(box: Box, { swap, flipX, flipY }: Orientation): Box {
  const turned = swap ? { x: box.y, y: box.x, w: box.h, h: box.w } : { ...box };
  if (flipX) turned.x = 1 - turned.x - turned.w;
  if (flipY) turned.y = 1 - turned.y - turned.h;
  return turned;
}

/** Width and height of the upright frame. */
export function uprightSize(size: { width: number; height: number }, { swap }: Orientation) {
  return swap ? { width: size.height, height: size.width } : { width: size.width, height: size.height };
}

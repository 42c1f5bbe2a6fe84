/** The MobileNetV2 family as models to measure, with the widths and resolutions that its authors released. */
import { buildModel } from '../modelkit/build.ts';
import type { Member } from './profile-types.ts';

export const WIDTHS = [0.35, 0.5, 0.75, 1, 1.3, 1.4] as const;
export const RESOLUTIONS = [96, 128, 160, 192, 224] as const;

/**
 * Top-1 on ImageNet of the float weights in percent, as the authors list their released models
 * (tensorflow/models, research/slim/nets/mobilenet/README.md), by width and then by resolution, largest first.
 */
const TOP1: Record<string, readonly number[]> = {
  '1.4': [75.0],
  '1.3': [74.4],
  '1': [71.8, 70.7, 68.8, 65.3, 60.3],
  '0.75': [69.8, 68.7, 66.4, 63.2, 58.8],
  '0.5': [65.4, 63.9, 61.0, 57.7, 51.2],
  '0.35': [60.3, 58.2, 55.7, 50.8, 45.5],
};
const LARGEST_FIRST = [...RESOLUTIONS].reverse();

export function memberName({ width, resolution, precision }: Member): string {
  return `v2-${width}-${resolution}-${precision}`;
}

/** Parses the name of a member, such as `v2-0.5-160-int8`; null for any other name. */
export function parseMember(name: string): Member | null {
  const [, width, resolution, precision] = /^v2-(\d+(?:\.\d+)?)-(\d+)-(int8|fp32)$/.exec(name) ?? [];
  const member = { width: Number(width), resolution: Number(resolution) };
  if (!(member.width >= 0.1 && member.width <= 2 && member.resolution >= 32 && member.resolution <= 512))
    return null;
  return { ...member, precision: precision as Member['precision'] };
}

/** Published accuracy in percent; null for members that were not released. */
export function publishedAccuracy({ width, resolution }: Member): number | null {
  return TOP1[String(width)]?.[LARGEST_FIRST.indexOf(resolution as (typeof RESOLUTIONS)[number])] ?? null;
}

/** Builds a member with random weights and writes it to `file`. */
export async function buildMember({ width, resolution, precision }: Member, file: string): Promise<null> {
  const options = { family: 'v2', width, resolution, precision, out: file } as const;
  await buildModel({ ...options, classes: 1000, expansion: 6, seed: 1 });
  return null;
}

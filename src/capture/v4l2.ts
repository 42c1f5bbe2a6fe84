import { access, constants } from 'node:fs/promises';
import type { SourceConfig } from '../config/sources.ts';
import { LookoutError, messageOf } from '../errors.ts';
import { FfmpegSource } from './ffmpeg.ts';
import type { Source, SourceContext } from './source.ts';

export type V4l2Config = Extract<SourceConfig, { kind: 'v4l2' }>;

/** Hardly any USB camera supports a lower rate; frames beyond the configured rate are dropped. */
const SLOWEST_FPS = 5;

const DEVICE = {
  faults: /busy|no such (file|device)|permission denied|not a video capture device|inappropriate ioctl/i,
  hint:
    'Check that the camera is plugged in, that no other program uses it, and that the user is in the group `video`. ' +
    '`lookout cameras` lists the cameras of this machine.',
};

/**
 * A USB camera, or any other that the kernel shows as a video device.
 * @throws LookoutError CAPTURE_DEVICE when the device does not exist or access is denied
 */
export async function v4l2Source(config: V4l2Config, context: SourceContext): Promise<Source> {
  const { device } = config;
  try {
    await access(device, constants.R_OK | constants.W_OK);
  } catch (error) {
    throw new LookoutError('CAPTURE_DEVICE', `${device}: ${messageOf(error)}`, {
      hint: DEVICE.hint,
      cause: error,
    });
  }
  return new FfmpegSource(`v4l2 ${device}`, { args: v4l2Arguments(config), device: DEVICE }, config, context);
}

/** The camera uses the nearest size and rate that it supports; ffmpeg scales the frames and drops the surplus. */
export function v4l2Arguments({ device, format, width, height, fps }: V4l2Config): string[] {
  return [
    ...['-f', 'v4l2'],
    ...(format === 'auto' ? [] : ['-input_format', format]),
    ...['-video_size', `${width}x${height}`, '-framerate', String(Math.max(fps, SLOWEST_FPS)), '-i', device],
  ];
}

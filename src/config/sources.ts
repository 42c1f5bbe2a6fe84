/** Where frames come from: one group of settings for each kind of source. */
import { z } from 'zod';

/** A file or folder: a relative path starts at the folder of the config file; `credential:NAME` is a systemd credential. */
export const path = z.string().min(1);
export const seconds = (min: number, max: number) => z.number().min(min).max(max);

const size = {
  width: z
    .number()
    .int()
    .min(64)
    .max(4096)
    .multipleOf(2)
    .default(640)
    .describe('Frame width in pixels, even.'),
  height: z
    .number()
    .int()
    .min(64)
    .max(4096)
    .multipleOf(2)
    .default(480)
    .describe('Frame height in pixels, even.'),
};
const fps = z.number().min(0.01).max(120);
const hwaccel = z
  .enum(['none', 'auto', 'drm', 'v4l2m2m', 'vaapi', 'cuda', 'nvv4l2'])
  .default('none')
  .describe('Hardware video decoder for ffmpeg to use.');

const libcamera = z.strictObject({
  kind: z.literal('libcamera'),
  camera: z
    .number()
    .int()
    .min(0)
    .max(7)
    .default(0)
    .describe('Camera number, as shown by `rpicam-hello --list-cameras`.'),
  mode: z
    .enum(['video', 'still'])
    .default('video')
    .describe(
      '`video` streams continuously; `still` starts the camera for each frame and turns it off in between.',
    ),
  ...size,
  fps: fps.default(10).describe('Frames per second in `video` mode.'),
  interval: seconds(2, 86400).default(60).describe('Seconds between frames in `still` mode.'),
});

/** Any name that udev can create in /dev: no `..`, no control characters. */
const DEVICE_PATH = /^\/dev(?:\/(?!\.{1,2}(?:\/|$))[^/\p{Cc}]+)+$/u;

const v4l2 = z.strictObject({
  kind: z.literal('v4l2'),
  device: z
    .string()
    .regex(DEVICE_PATH, 'the path of a device, for example /dev/video0')
    .default('/dev/video0')
    .describe('Video device; a name under /dev/v4l/by-id stays the same across restarts.'),
  format: z
    .enum(['auto', 'mjpeg', 'yuyv422', 'h264'])
    .default('auto')
    .describe('Video format to request from the camera.'),
  ...size,
  fps: fps.default(10).describe('Frames per second.'),
  hwaccel,
});

const urls = {
  url: z
    .string()
    .optional()
    .describe('URL of the stream. If it contains a password, use `url_file` instead.'),
  url_file: path.optional().describe('File that contains the URL of the stream, for URLs with a password.'),
  verify: z
    .boolean()
    .default(true)
    .describe(
      'Whether the certificate of an encrypted stream is verified. ffmpeg cannot verify it for rtsps://, so set `false` there.',
    ),
  ...size,
  fps: fps.default(5).describe('Frames per second taken from the stream.'),
  hwaccel,
};
const rtsp = z.strictObject({
  kind: z.literal('rtsp'),
  ...urls,
  transport: z.enum(['tcp', 'udp']).default('tcp').describe('Transport protocol of the stream.'),
});
const http = z.strictObject({
  kind: z.literal('http'),
  ...urls,
  proxy: z
    .string()
    .optional()
    .describe(
      'HTTP proxy for this camera, for example http://proxy.lan:3128; by default none, even if the environment variable `http_proxy` is set.',
    ),
  ca_file: path
    .optional()
    .describe(
      'PEM file with the certificate authority, or the certificate itself, to trust instead of those of the system.',
    ),
});

const gstreamer = z.strictObject({
  kind: z.literal('gstreamer'),
  sensor: z
    .number()
    .int()
    .min(0)
    .max(7)
    .default(0)
    .describe('Jetson CSI sensor number for the default pipeline.'),
  pipeline: z
    .array(z.string().min(1))
    .min(1)
    .optional()
    .describe(
      'Custom pipeline as gst-launch-1.0 arguments. It must end in I420 frames of the configured size on fdsink fd=1.',
    ),
  ...size,
  fps: fps.default(10).describe('Frames per second.'),
});

const replay = z.strictObject({
  kind: z.literal('replay'),
  path: path.describe('A folder of image files, one image file, or a video (which needs ffmpeg).'),
  pace: z
    .enum(['real', 'consumed'])
    .default('real')
    .describe(
      '`real` plays at `fps`; `consumed` delivers the next frame when the previous one has been analysed, so that none is dropped.',
    ),
  loop: z.boolean().default(true).describe('Whether to restart at the end.'),
  ...size,
  fps: fps.default(5).describe('Frames per second: the pace, and for a video also the sampling rate.'),
});

const demo = z.strictObject({
  kind: z.literal('demo'),
  ...size,
  fps: fps.default(5).describe('Frames per second.'),
  seed: z.number().int().min(0).default(1).describe('Random seed of the rendered scene.'),
});

const auto = z.strictObject({
  kind: z.literal('auto'),
  ...size,
  fps: fps.default(10).describe('Frames per second.'),
});

export const sourceSchema = z.discriminatedUnion('kind', [
  libcamera,
  v4l2,
  rtsp,
  http,
  gstreamer,
  replay,
  demo,
  auto,
]);

export type SourceConfig = z.infer<typeof sourceSchema>;

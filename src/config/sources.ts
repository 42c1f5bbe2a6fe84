/** Where pictures come from: one group of settings for each kind of source. */
import { z } from 'zod';
import { path, seconds } from './values.ts';

const size = {
  width: z
    .number()
    .int()
    .min(64)
    .max(4096)
    .multipleOf(2)
    .default(640)
    .describe('Picture width in pixels, even.'),
  height: z
    .number()
    .int()
    .min(64)
    .max(4096)
    .multipleOf(2)
    .default(480)
    .describe('Picture height in pixels, even.'),
};
const fps = z.number().min(0.01).max(120);
const hwaccel = z
  .enum(['none', 'auto', 'drm', 'v4l2m2m', 'vaapi', 'cuda', 'nvv4l2'])
  .default('none')
  .describe('Hardware video decoder that ffmpeg should use.');

const libcamera = z.strictObject({
  kind: z.literal('libcamera'),
  camera: z
    .number()
    .int()
    .min(0)
    .max(7)
    .default(0)
    .describe('Which camera, as numbered by `rpicam-hello --list-cameras`.'),
  mode: z
    .enum(['video', 'still'])
    .default('video')
    .describe(
      '`video` streams without a pause; `still` starts the camera for each picture and turns it off in between.',
    ),
  ...size,
  fps: fps.default(10).describe('Pictures per second in `video` mode.'),
  interval: seconds(2, 86400).default(60).describe('Seconds between pictures in `still` mode.'),
});

/** Any name that udev may make below /dev: no `..`, no control characters. */
const DEVICE_PATH = /^\/dev(?:\/(?!\.{1,2}(?:\/|$))[^/\p{Cc}]+)+$/u;

const v4l2 = z.strictObject({
  kind: z.literal('v4l2'),
  device: z
    .string()
    .regex(DEVICE_PATH, 'a device such as /dev/video0')
    .default('/dev/video0')
    .describe('Video device; a name under /dev/v4l/by-id stays the same across restarts.'),
  format: z
    .enum(['auto', 'mjpeg', 'yuyv422', 'h264'])
    .default('auto')
    .describe('What to ask the camera for.'),
  ...size,
  fps: fps.default(10).describe('Pictures per second.'),
  hwaccel,
});

const urls = {
  url: z
    .string()
    .optional()
    .describe('Address of the stream. Put one with a password into `url_file` instead.'),
  url_file: path.optional().describe('File that holds the address, for addresses with a password in them.'),
  verify: z
    .boolean()
    .default(true)
    .describe('Whether the certificate of an encrypted address is checked. For rtsps:// nobody can: false.'),
  ...size,
  fps: fps.default(5).describe('Pictures per second taken from the stream.'),
  hwaccel,
};
const rtsp = z.strictObject({
  kind: z.literal('rtsp'),
  ...urls,
  transport: z.enum(['tcp', 'udp']).default('tcp').describe('How the stream travels.'),
});
const http = z.strictObject({
  kind: z.literal('http'),
  ...urls,
  proxy: z
    .string()
    .optional()
    .describe(
      'HTTP proxy through which the camera is reached, such as http://proxy.lan:3128; by default none, whatever `http_proxy` in the environment says.',
    ),
  ca_file: path
    .optional()
    .describe('PEM file with the authority, or the certificate itself, to trust instead of the system’s.'),
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
      'Custom pipeline as gst-launch-1.0 arguments, ending in I420 frames of the given size on fdsink fd=1.',
    ),
  ...size,
  fps: fps.default(10).describe('Pictures per second.'),
});

const replay = z.strictObject({
  kind: z.literal('replay'),
  path: path.describe('A folder of image files, one image file, or a video (which needs ffmpeg).'),
  pace: z
    .enum(['real', 'consumed'])
    .default('real')
    .describe(
      '`real` plays at `fps`; `consumed` gives the next picture when the last was analysed, dropping none.',
    ),
  loop: z.boolean().default(true).describe('Start again at the end.'),
  ...size,
  fps: fps.default(5).describe('Pictures per second: pacing, and for a video also the sampling.'),
});

const demo = z.strictObject({
  kind: z.literal('demo'),
  ...size,
  fps: fps.default(5).describe('Pictures per second.'),
  seed: z.number().int().min(0).default(1).describe('Which of the endless days in the driveway to play.'),
});

const auto = z.strictObject({
  kind: z.literal('auto'),
  ...size,
  fps: fps.default(10).describe('Pictures per second.'),
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

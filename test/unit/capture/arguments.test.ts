/** What camera programs are told, and how their rows are read. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ffmpegArguments, type Hwaccel } from '../../../src/capture/ffmpeg.ts';
import {
  type GstreamerConfig,
  rowStrides as gstStrides,
  jetsonPipeline,
} from '../../../src/capture/gstreamer.ts';
import { type LibcameraConfig, rowStrides, videoArguments } from '../../../src/capture/libcamera.ts';
import { stillOptions } from '../../../src/capture/still-camera.ts';
import { type V4l2Config, v4l2Arguments, v4l2Source } from '../../../src/capture/v4l2.ts';
import { sourceSchema } from '../../../src/config/sources.ts';
import { fakeContext } from '../../support/programs.ts';

const libcamera = (fields: object = {}) =>
  sourceSchema.parse({ kind: 'libcamera', ...fields }) as LibcameraConfig;
const v4l2 = (fields: object = {}) => sourceSchema.parse({ kind: 'v4l2', ...fields }) as V4l2Config;
const gstreamer = (fields: object = {}) =>
  sourceSchema.parse({ kind: 'gstreamer', ...fields }) as GstreamerConfig;

test('rpicam-vid is asked for raw frames on stdout, without end and without a window', () => {
  assert.equal(
    videoArguments(libcamera({ camera: 1, width: 1280, height: 720, fps: 12.5 })).join(' '),
    '--camera 1 --width 1280 --height 720 --framerate 12.5 --timeout 0 --codec yuv420 --output - --nopreview --flush',
  );
});

test('rows are padded to 64 bytes on a Pi 4 and to 128 on a Pi 5', () => {
  for (const [width, pi4, pi5] of [
    [640, 640, 640],
    [1280, 1280, 1280],
    [1920, 1920, 1920],
    [320, 320, 384],
    [800, 832, 896],
    [780, 832, 896],
    [4056, 4096, 4096],
  ] as const) {
    assert.deepEqual(rowStrides(width, false), { luma: pi4, chroma: pi4 / 2 });
    assert.deepEqual(rowStrides(width, true), { luma: pi5, chroma: pi5 / 2 });
  }
});

test('GStreamer starts every row at a multiple of 4 bytes', () => {
  assert.deepEqual(gstStrides(640), { luma: 640, chroma: 320 });
  assert.deepEqual(gstStrides(642), { luma: 644, chroma: 324 });
  assert.deepEqual(gstStrides(652), { luma: 652, chroma: 328 });
});

test('the options of a still are numbers and fixed words', () => {
  const options = stillOptions(libcamera({ width: 800, height: 600 }), '/tmp/lookout-still-aB3/still.jpg');
  for (const value of Object.values(options)) assert.match(String(value), /^[\w./-]+$/);
  assert.equal(options.width, 800);
});

test('nothing that a shell could read reaches the command line of a still', () => {
  const evil = { ...libcamera(), width: '640; reboot' as unknown as number };
  assert.throws(() => stillOptions(evil, '/tmp/still.jpg'), TypeError);
  for (const file of ['/tmp/a b.jpg', '/tmp/$(reboot).jpg', "/tmp/'.jpg", '/tmp/a;b']) {
    assert.throws(() => stillOptions(libcamera(), file), { code: 'CAPTURE_FILE', hint: /TMPDIR/ });
  }
});

test('a USB camera is asked for its nearest format, size and rate', () => {
  assert.equal(
    v4l2Arguments(v4l2({ format: 'mjpeg', width: 1280, height: 720, fps: 15 })).join(' '),
    '-f v4l2 -input_format mjpeg -video_size 1280x720 -framerate 15 -i /dev/video0',
  );
  assert.equal(
    v4l2Arguments(v4l2({ device: '/dev/v4l/by-id/usb-cam-video-index0', fps: 0.5 })).join(' '),
    '-f v4l2 -video_size 640x480 -framerate 5 -i /dev/v4l/by-id/usb-cam-video-index0',
  );
});

test('a USB camera that is not there is named before ffmpeg is started', async () => {
  await assert.rejects(v4l2Source(v4l2({ device: '/dev/video99' }), fakeContext()), {
    code: 'CAPTURE_DEVICE',
    message: /^\/dev\/video99: ENOENT/,
    hint: /group `video`/,
  });
});

test('ffmpeg scales one video stream, drops surplus frames and writes the size to the output', () => {
  const output = { width: 640, height: 480, fps: 12.5, hwaccel: 'none' as const };
  const args = ffmpegArguments({ args: ['-i', 'file:/a.mp4'] }, output);
  assert.equal(args.at(-1), 'pipe:1');
  assert.deepEqual(args.slice(args.indexOf('-f'), args.indexOf('-f') + 2), ['-f', 'yuv4mpegpipe']);
  assert.deepEqual(args.slice(args.indexOf('-r'), args.indexOf('-r') + 2), ['-r', '12.5']);
  assert.ok(args.includes('-nostdin'));
  for (const removed of ['-vsync', '-fps_mode'])
    assert.ok(!args.includes(removed), `${removed} is not in every ffmpeg`);
});

const decoders: [Hwaccel, string][] = [
  ['none', ''],
  ['auto', '-hwaccel auto'],
  ['drm', '-hwaccel drm'],
  ['v4l2m2m', '-c:v h264_v4l2m2m'],
  ['vaapi', '-hwaccel vaapi'],
  ['cuda', '-hwaccel cuda'],
  ['nvv4l2', '-c:v h264_nvv4l2dec'],
];
for (const [hwaccel, expected] of decoders) {
  test(`hwaccel ${hwaccel} is put before the input`, () => {
    const args = ffmpegArguments({ args: ['-i', 'x'] }, { width: 64, height: 64, fps: 1, hwaccel });
    const before = args.slice(args.indexOf('error') + 1, args.indexOf('-i'));
    assert.equal(before.join(' '), expected);
  });
}

test('the Jetson pipeline ends in raw frames on a descriptor of their own', () => {
  assert.equal(
    jetsonPipeline(gstreamer({ sensor: 1, width: 1280, height: 720, fps: 12.5 })).join(' '),
    'nvarguscamerasrc sensor-id=1 ! video/x-raw(memory:NVMM),format=NV12,width=1280,height=720 ! nvvidconv ! ' +
      'video/x-raw,format=I420,width=1280,height=720 ! videorate drop-only=true ! video/x-raw,framerate=25/2 ! ' +
      'fdsink fd=3 sync=false',
  );
});

test('rates are fractions for GStreamer', () => {
  for (const [fps, expected] of [
    [10, '10/1'],
    [0.5, '1/2'],
    [0.01, '1/100'],
    [29.97, '2997/100'],
  ] as const) {
    assert.ok(jetsonPipeline(gstreamer({ fps })).includes(`video/x-raw,framerate=${expected}`), `${fps}`);
  }
});

import assert from 'node:assert/strict';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { AutoSource } from '../../../src/capture/auto.ts';
import { type FoundCamera, parseCameraList, surveyCameras } from '../../../src/capture/discover.ts';
import { sourceSchema } from '../../../src/config/sources.ts';
import { FakeSink } from '../../fakes/sink.ts';
import { fakeContext, fakeEnv, programFolder, temporaryFolder } from '../../support/programs.ts';

/** A machine as its files show it; a value that starts with -> is a link. */
async function machine(t: TestContext, files: Record<string, string>): Promise<string> {
  const root = await temporaryFolder(t);
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    if (content.startsWith('->')) await symlink(content.slice(2), join(root, path));
    else await writeFile(join(root, path), content);
  }
  return root;
}

const nothing = { PATH: '/nowhere' };
const usb = 'sys/devices/platform/usb1/1-1/1-1:1.0/video4linux';
const C920 = {
  [`${usb}/video0/name`]: 'HD Pro Webcam C920\n',
  [`${usb}/video0/dev`]: '81:0\n',
  [`${usb}/video0/index`]: '0\n',
  [`${usb}/video1/name`]: 'HD Pro Webcam C920\n',
  [`${usb}/video1/dev`]: '81:1\n',
  [`${usb}/video1/index`]: '1\n',
  'sys/class/video4linux/video0': '->../../devices/platform/usb1/1-1/1-1:1.0/video4linux/video0',
  'sys/class/video4linux/video1': '->../../devices/platform/usb1/1-1/1-1:1.0/video4linux/video1',
  'dev/video0': '',
  'dev/video1': '',
};
const codec = {
  'sys/devices/platform/bcm2835-codec/video4linux/video10/name': 'bcm2835-codec-decode\n',
  'sys/class/video4linux/video10': '->../../devices/platform/bcm2835-codec/video4linux/video10',
};
const jetson = {
  'proc/device-tree/compatible': 'nvidia,p3768-0000+p3767-0005\0nvidia,tegra234\0',
  'sys/class/video4linux/video0/name': 'vi-output, imx219 9-0010\n',
};

test('on a machine without cameras the survey names the places that it searched', async (t) => {
  const root = await machine(t, codec);
  const { found, missing } = await surveyCameras({ env: nothing, root });
  assert.deepEqual(found, []);
  assert.deepEqual(missing, [
    'libcamera: neither rpicam-vid nor libcamera-vid is installed',
    'Jetson: this machine is not a Jetson',
    'USB: none of the 1 devices /dev/video* is a USB camera',
  ]);
});

test('a USB camera is found once, by the device that captures frames', async (t) => {
  const root = await machine(t, { ...C920, ...codec });
  const { found } = await surveyCameras({ env: nothing, root });
  assert.deepEqual(
    found.map(({ description, source }) => [description, source]),
    [['USB camera HD Pro Webcam C920, /dev/video0', { kind: 'v4l2', device: '/dev/video0' }]],
  );
});

test('what udev found out about a device counts more than its number', async (t) => {
  const root = await machine(t, {
    ...C920,
    'run/udev/data/c81:0': 'E:ID_V4L_CAPABILITIES=:\n',
    'run/udev/data/c81:1': 'I:1\nE:ID_V4L_CAPABILITIES=:capture:\n',
  });
  const { found } = await surveyCameras({ env: nothing, root });
  assert.deepEqual(
    found.map(({ source }) => source),
    [{ kind: 'v4l2', device: '/dev/video1' }],
  );
});

for (const name of [
  'usb-046d_HD_Pro-video-index0',
  'usb-Microsoft_Microsoft®_LifeCam_HD-3000-video-index0',
  'usb-Acme_Cam+Mic@2,0=1_0001-video-index0',
  'usb-046d_HD Pro\\x2f1-video-index0',
]) {
  test(`a name that does not change is preferred and can be configured: ${name}`, async (t) => {
    const root = await machine(t, { ...C920, [`dev/v4l/by-id/${name}`]: '->../../video0' });
    const [camera] = (await surveyCameras({ env: nothing, root })).found;
    assert.deepEqual(camera?.source, { kind: 'v4l2', device: `/dev/v4l/by-id/${name}` });
    assert.equal(sourceSchema.safeParse(camera?.source).success, true);
  });
}

test('a device is a path below /dev and nothing else', () => {
  const accepts = (device: string) => sourceSchema.safeParse({ kind: 'v4l2', device }).success;
  for (const device of [
    '/dev/v4l/by-path/platform-soc@0-usb-0:1.1:1.0-video-index0',
    '/dev/..cam',
    '/dev/Küche',
  ])
    assert.equal(accepts(device), true, device);
  for (const device of [
    '/dev/',
    '/dev',
    '/dev/../etc/passwd',
    '/dev/a/..',
    '/dev//a',
    '/dev/a\n',
    'video0',
    '/etc/a',
  ])
    assert.equal(accepts(device), false, device);
});

test('a Raspberry Pi camera comes before a USB camera, which libcamera may list too', async (t) => {
  const root = await machine(t, C920);
  const { found, missing } = await surveyCameras({ env: fakeEnv(), root });
  assert.deepEqual(
    found.map(({ source }) => source),
    [
      { kind: 'libcamera', camera: 0 },
      { kind: 'v4l2', device: '/dev/video0' },
    ],
  );
  assert.match(found[0]?.description ?? '', /imx708_wide \(4608x2592 10-bit RGGB\), through rpicam-vid/);
  assert.deepEqual(missing, ['Jetson: this machine is not a Jetson']);
});

test('lists of older and newer programs are understood', () => {
  assert.deepEqual(
    parseCameraList(
      '0 : imx219 [3280x2464] (/base/soc/i2c0mux/i2c@1/imx219@10)\n    Modes: x : 1 [2]\n1 : ov5647 [2592x1944]\n',
    ),
    [
      { camera: 0, model: 'imx219 (3280x2464)' },
      { camera: 1, model: 'ov5647 (2592x1944)' },
    ],
  );
  assert.deepEqual(parseCameraList('No cameras available!\n'), []);
});

test('a Jetson with a camera on its connector is found if GStreamer is there', async (t) => {
  const root = await machine(t, jetson);
  const env = { PATH: await programFolder(t, { 'gst-launch-1.0': 'gst-launch-1.0' }) };
  const { found } = await surveyCameras({ env, root });
  assert.deepEqual(
    found.map(({ description, source }) => [description, source]),
    [['Jetson camera 0: imx219 9-0010, through gst-launch-1.0', { kind: 'gstreamer', sensor: 0 }]],
  );
  const without = await surveyCameras({ env: nothing, root });
  assert.match(without.missing.join(), /gst-launch-1\.0 is not installed/);
});

const auto = sourceSchema.parse({ kind: 'auto', width: 320, height: 240, fps: 3 }) as ConstructorParameters<
  typeof AutoSource
>[0];

test('auto selects the first camera and logs why', async (t) => {
  const context = { ...fakeContext(), root: await machine(t, C920) };
  let opened: FoundCamera | undefined;
  const source = new AutoSource(auto, context, async (camera) => {
    opened = camera;
    return { description: 'the camera', run: async () => {} };
  });
  await source.run(new FakeSink(), new AbortController().signal);
  assert.deepEqual(opened?.source, { kind: 'libcamera', camera: 0 });
  assert.match(
    context.fakeLog.lines.at(-1)?.msg ?? '',
    /auto selects libcamera camera 0: .*320×240, 3 fps \(the first of 2: a camera on the camera connector comes before/,
  );
});

test('auto without any camera fails and names the places that it searched', async (t) => {
  const context = { ...fakeContext(), env: nothing, root: await machine(t, {}) };
  const source = new AutoSource(auto, context, () => Promise.reject(new Error('not reached')));
  await assert.rejects(source.run(new FakeSink(), new AbortController().signal), {
    code: 'CAPTURE_NO_CAMERA',
    message:
      /neither rpicam-vid nor libcamera-vid is installed\. Jetson: this machine is not a Jetson\. USB: no \/dev\/video\* device\.$/,
  });
});

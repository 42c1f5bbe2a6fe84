/**
 * What the fake camera programs in bin/ share. FAKE_CAMERA (or FAKE_CAMERA_FILE) chooses how one behaves, as words such as
 * `stall=3,flood`:
 *
 *   frames=N         ends with an error after N frames
 *   stall=N          gives N frames and then nothing more
 *   stuck=N          from frame N on hangs in the kernel, on the device FAKE_CAMERA_DEVICE
 *   garbage          gives random bytes, and more of them than was asked for
 *   flood            writes to stderr without end
 *   cut=N            gives only half of frame N, then goes on
 *   tail             with frames=N: gives half a frame more before it ends
 *   resize=N:WxH     gives frames of another size from frame N on
 *   configured=WxH   says on stderr that the camera was set to another size
 *   busy             cannot get the camera
 *   deaf             ignores SIGTERM and that nobody reads its frames any more
 *   offspring        starts a process of its own, which ignores SIGTERM; its id is written to FAKE_CAMERA_PIDS
 *   corrupt, hang    (stills) writes no JPEG; never ends
 *
 * Pixels: row r of the luma of frame n has the value n + r, U is 100 and V is 200; padding is 0xEE.
 */
'use strict';
const { spawn } = require('node:child_process');
const { randomFillSync } = require('node:crypto');
const { appendFileSync, openSync, readFileSync, writeFileSync, writeSync } = require('node:fs');

/** FAKE_CAMERA, or the content of the file FAKE_CAMERA_FILE, which a test may change between two starts. */
function said() {
  const file = process.env.FAKE_CAMERA_FILE;
  return file ? readFileSync(file, 'utf8') : (process.env.FAKE_CAMERA ?? '');
}

const behaviour = new Map(
  said()
    .split(',')
    .filter(Boolean)
    .map((word) => {
      const [name, value = ''] = word.split('=');
      return [name, value];
    }),
);

/** Reads `--name value` and `--flag` arguments, and refuses those that the real program would not know. */
function readOptions(names, flags) {
  const options = {};
  const args = process.argv.slice(2);
  while (args.length > 0) {
    const name = args.shift().replace(/^--/, '');
    if (flags.includes(name)) options[name] = true;
    else if (names.includes(name)) options[name] = args.shift();
    else fail(`ERROR: *** unrecognised option '--${name}' ***`, 255);
  }
  return options;
}

function say(line) {
  writeSync(2, `${line}\n`);
}

function fail(line, code) {
  say(line);
  process.exit(code);
}

/** What the program does before its first frame. */
function begin() {
  if (process.env.FAKE_CAMERA_PIDS) appendFileSync(process.env.FAKE_CAMERA_PIDS, `${process.pid}\n`);
  if (behaviour.has('deaf')) process.on('SIGTERM', () => {});
  if (behaviour.has('busy'))
    fail('ERROR: *** failed to acquire camera /base/soc/i2c0mux/i2c@1/imx219@10 ***', 255);
  if (behaviour.has('offspring')) {
    const child = spawn(
      process.execPath,
      ['-e', "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000)"],
      {
        stdio: 'inherit',
      },
    );
    appendFileSync(process.env.FAKE_CAMERA_PIDS, `${child.pid}\n`);
  }
  if (behaviour.has('flood')) {
    const lines = 'ERROR V4L2 v4l2_videodevice.cpp:1906 Failed to queue buffer\n'.repeat(50);
    setInterval(() => writeSync(2, lines), 5);
  }
}

function size(text) {
  return text.split('x').map(Number);
}

function frame(number, width, height, align, chromaAlign) {
  const stride = Math.ceil(width / align) * align;
  const chroma = Math.ceil(width / 2 / chromaAlign) * chromaAlign;
  const bytes = Buffer.alloc(stride * height + chroma * height, 0xee);
  for (let row = 0; row < height; row++) bytes.fill(number + row, row * stride, row * stride + width);
  for (let row = 0; row < height; row++) {
    const start = stride * height + row * chroma;
    bytes.fill(row < height / 2 ? 100 : 200, start, start + width / 2);
  }
  return bytes;
}

/** Leaves the time in a file beside FAKE_CAMERA_FILE. */
function mark(name) {
  if (process.env.FAKE_CAMERA_FILE)
    writeFileSync(`${process.env.FAKE_CAMERA_FILE}.${name}`, String(Date.now()));
}

/** Writes frames to a file descriptor at a steady rate until the behaviour or a signal ends it. */
function stream({ fd, width, height, fps, align, chromaAlign }) {
  const last = Number(behaviour.get('frames') ?? Number.POSITIVE_INFINITY);
  const stall = Number(behaviour.get('stall') ?? Number.POSITIVE_INFINITY);
  const [resizeAt, newSize] = (behaviour.get('resize') ?? ':').split(':');
  let number = 0;
  setInterval(() => {
    if (number >= stall) {
      if (number === stall) mark('stalled');
      number++;
      return;
    }
    const resized = resizeAt !== '' && number >= Number(resizeAt);
    const [w, h] = resized ? size(newSize) : [width, height];
    const bytes = frame(number, w, h, align, chromaAlign);
    if (String(number) === behaviour.get('stuck')) {
      mark('stalled');
      openSync(process.env.FAKE_CAMERA_DEVICE, 'r');
    }
    if (behaviour.has('garbage'))
      write(fd, randomFillSync(Buffer.alloc(1 + Math.floor(Math.random() * 3 * bytes.length))));
    if (number >= last) {
      if (behaviour.has('tail')) write(fd, bytes.subarray(0, bytes.length / 2));
      fail('ERROR: *** camera frontend has timed out ***', 255);
    }
    write(fd, String(number) === behaviour.get('cut') ? bytes.subarray(0, bytes.length / 2) : bytes);
    number++;
  }, 1000 / fps);
}

function write(fd, bytes) {
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(fd, bytes, at);
    } catch (error) {
      if (error.code === 'EAGAIN') continue;
      if (behaviour.has('deaf')) return;
      fail(`write: ${error.code}`, 1);
    }
  }
}

module.exports = { behaviour, begin, fail, readOptions, say, size, stream };

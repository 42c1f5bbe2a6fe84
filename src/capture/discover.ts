/** Finds the cameras of this machine, in the order in which `kind: auto` prefers them. */
import { execFile } from 'node:child_process';
import { access, constants, readdir, readFile, readlink, realpath } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { messageOf } from '../errors.ts';
import { VIDEO_PROGRAMS } from './libcamera.ts';
import { findProgram } from './programs.ts';

export interface FoundCamera {
  /** One line for the user: what it is and how it is used. */
  description: string;
  /** Why it has its place in the list. */
  reason: string;
  /** The settings that select it; size and rate come from the configuration. */
  source:
    | { kind: 'libcamera'; camera: number }
    | { kind: 'gstreamer'; sensor: number }
    | { kind: 'v4l2'; device: string };
}

export interface Survey {
  /** In order of preference: cameras on the camera connector first, then USB. */
  found: FoundCamera[];
  /** For each kind that was not found: where the search looked and why it found none. */
  missing: string[];
}

export interface SurveyOptions {
  env?: NodeJS.ProcessEnv;
  /** The folder that contains /sys, /proc, /etc, /run and /dev. */
  root?: string;
  signal?: AbortSignal;
}

const LISTING_TIMEOUT_MS = 10_000;

/** Finds the cameras of this machine. Never throws: what cannot be checked is named in `missing`. */
export async function surveyCameras({
  env = process.env,
  root = '/',
  signal,
}: SurveyOptions = {}): Promise<Survey> {
  const results = await Promise.all([findLibcamera(env, signal), findJetson(env, root), findUsb(root)]);
  return {
    found: results.flatMap((result) => (typeof result === 'string' ? [] : result)),
    missing: results.filter((result) => typeof result === 'string'),
  };
}

type Finding = FoundCamera[] | string;

async function findLibcamera(env: NodeJS.ProcessEnv, signal: AbortSignal | undefined): Promise<Finding> {
  const program = await findProgram(VIDEO_PROGRAMS, env);
  if (program === null) return `libcamera: neither ${VIDEO_PROGRAMS.join(' nor ')} is installed`;
  try {
    const listing = await promisify(execFile)(program, ['--list-cameras'], {
      env,
      timeout: LISTING_TIMEOUT_MS,
      killSignal: 'SIGKILL',
      ...(signal ? { signal } : {}),
    });
    const cameras = parseCameraList(listing.stdout + listing.stderr);
    if (cameras.length === 0) return `libcamera: ${basename(program)} --list-cameras lists no camera`;
    return cameras.map(({ camera, model }) => ({
      description: `libcamera camera ${camera}: ${model}, through ${basename(program)}`,
      reason: 'a camera on the camera connector comes before USB cameras',
      source: { kind: 'libcamera', camera },
    }));
  } catch (error) {
    return `libcamera: ${basename(program)} --list-cameras failed: ${messageOf(error).split('\n')[0]}`;
  }
}

/**
 * Reads `rpicam-vid --list-cameras`, whose lines of interest look like
 * `0 : imx708 [4608x2592 10-bit RGGB] (/base/axi/pcie@120000/rp1/i2c@88000/imx708@1a)`. USB cameras, which some
 * versions also list, are left to v4l2.
 */
export function parseCameraList(text: string): { camera: number; model: string }[] {
  return [...text.matchAll(/^\s*(\d+) : (\S+) \[([^\]]*)\](?: \(([^)]*)\))?/gm)]
    .filter(([, , , , id = '']) => !/usb/i.test(id))
    .map(([, camera, name, details]) => ({ camera: Number(camera), model: `${name} (${details})` }));
}

async function findJetson(env: NodeJS.ProcessEnv, root: string): Promise<Finding> {
  const compatible = await readText(join(root, 'proc/device-tree/compatible'));
  const release = await readText(join(root, 'etc/nv_tegra_release'));
  if (!compatible.includes('nvidia,tegra') && release === '') return 'Jetson: this machine is not a Jetson';
  const sensors = (await videoDevices(root)).filter(({ name }) => name.startsWith('vi-output'));
  if (sensors.length === 0) return 'Jetson: no camera on the camera connector (no vi-output video device)';
  if ((await findProgram(['gst-launch-1.0'], env)) === null) {
    return 'Jetson: a camera is connected, but gst-launch-1.0 is not installed (sudo apt install gstreamer1.0-tools)';
  }
  return sensors.map(({ name }, sensor) => ({
    description: `Jetson camera ${sensor}: ${name.replace(/^vi-output,?\s*/, '')}, through gst-launch-1.0`,
    reason: 'a camera on the camera connector comes before USB cameras',
    source: { kind: 'gstreamer', sensor },
  }));
}

async function findUsb(root: string): Promise<Finding> {
  const devices = await videoDevices(root);
  if (devices.length === 0) return 'USB: no /dev/video* device';
  const found: FoundCamera[] = [];
  for (const video of devices) {
    if (!video.usb || !video.captures) continue;
    const device = (await stableName(root, video.node)) ?? `/dev/${video.node}`;
    found.push({
      description: `USB camera ${video.name}, ${device}${await accessNote(root, video.node)}`,
      reason: 'a USB camera that captures video',
      source: { kind: 'v4l2', device },
    });
  }
  return found.length > 0 ? found : `USB: none of the ${devices.length} devices /dev/video* is a USB camera`;
}

interface VideoDevice {
  /** For example `video0`. */
  node: string;
  name: string;
  usb: boolean;
  captures: boolean;
}

async function videoDevices(root: string): Promise<VideoDevice[]> {
  const folder = join(root, 'sys/class/video4linux');
  const nodes = (await listFolder(folder)).filter((node) => /^video\d+$/.test(node));
  nodes.sort((a, b) => Number(a.slice(5)) - Number(b.slice(5)));
  return Promise.all(
    nodes.map(async (node) => ({
      node,
      name: (await readText(join(folder, node, 'name'))).trim() || node,
      usb: await isUsb(join(folder, node)),
      captures: await captures(root, join(folder, node)),
    })),
  );
}

async function isUsb(device: string): Promise<boolean> {
  try {
    return /\/usb\d+\//.test(await realpath(device));
  } catch {
    return false;
  }
}

/**
 * Whether a device captures frames, according to udev (v4l_id). Without udev, the first device of a camera does; the
 * others carry its metadata.
 */
async function captures(root: string, device: string): Promise<boolean> {
  const number = (await readText(join(device, 'dev'))).trim();
  const udev = /^E:ID_V4L_CAPABILITIES=(.*)$/m.exec(await readText(join(root, `run/udev/data/c${number}`)));
  if (udev) return udev[1]!.includes(':capture:');
  return (await readText(join(device, 'index'))).trim() === '0';
}

/** A device name that does not depend on the order in which cameras are plugged in. */
async function stableName(root: string, node: string): Promise<string | null> {
  const folder = join(root, 'dev/v4l/by-id');
  for (const name of await listFolder(folder)) {
    if (basename(await readlink(join(folder, name)).catch(() => '')) === node)
      return `/dev/v4l/by-id/${name}`;
  }
  return null;
}

async function accessNote(root: string, node: string): Promise<string> {
  try {
    await access(join(root, 'dev', node), constants.R_OK | constants.W_OK);
    return '';
  } catch {
    return ' (no access for this user: add the user to the group `video`)';
  }
}

async function readText(file: string): Promise<string> {
  return await readFile(file, 'utf8').catch(() => '');
}

async function listFolder(folder: string): Promise<string[]> {
  return await readdir(folder).catch(() => []);
}

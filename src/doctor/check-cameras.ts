/** The programs, devices and URLs of the configured cameras. No device is opened, because the daemon may be using it. */
import { connect } from 'node:net';
import { pino } from 'pino';
import { type AddressConfig, readAddress } from '../capture/camera-address.ts';
import { createSource } from '../capture/create.ts';
import { type Survey, surveyCameras } from '../capture/discover.ts';
import { findProgram } from '../capture/programs.ts';
import { requireNeeds } from '../capture/source-needs.ts';
import type { SourceConfig } from '../config/sources.ts';
import { publicAddress } from '../runtime/address.ts';
import { systemClock } from '../runtime/clock.ts';
import { type Check, type CheckContext, type Finding, fail, failed, ok, warn } from './check.ts';

const CONNECT_MS = 5000;

/** Default ports. */
const PORTS: Record<string, number> = { 'rtsp:': 554, 'rtsps:': 322, 'http:': 80, 'https:': 443 };

export const checkCameras: Check = async (context) => {
  const survey = surveyCameras({ env: context.env, root: context.root });
  const findings = await Promise.all(
    Object.entries(context.loaded.config.cameras).map(async ([name, { source, enabled }]) => {
      const check = `camera ${name}`;
      if (!enabled) return ok(check, 'disabled in the configuration');
      try {
        return await checkCamera(check, source, context, survey);
      } catch (error) {
        return failed(check, error, 'See the troubleshooting in docs/cameras.md.');
      }
    }),
  );
  return findings;
};

async function checkCamera(
  check: string,
  source: SourceConfig,
  { env, root }: CheckContext,
  survey: Promise<Survey>,
): Promise<Finding> {
  const context = { clock: systemClock, log: pino({ level: 'silent' }), env, root };
  // Single images over HTTP need no program, and only a request to the camera would show whether it sends those.
  if (source.kind === 'http' && (await findProgram(['ffmpeg'], env)) === null) {
    const found = `${await answering(source)}; without ffmpeg only single images work, no streams`;
    return warn(check, found, 'If the camera sends a stream, install ffmpeg: sudo apt install ffmpeg');
  }
  const available = await requireNeeds(source, context);
  switch (source.kind) {
    case 'libcamera':
      return found(check, await survey, 'libcamera', `${available} is installed`);
    case 'gstreamer':
      return ok(check, `${available} is installed`);
    case 'v4l2':
      await createSource(source, context);
      return ok(check, `${source.device} can be used, with ${available}`);
    case 'rtsp':
    case 'http':
      return ok(check, `${await answering(source)}; its stream was not checked`);
    case 'replay':
      return ok(check, available);
    case 'demo':
      return ok(check, 'rendered scene, needs no device');
    case 'auto': {
      const { found: cameras, missing } = await survey;
      const [first] = cameras;
      if (first) return ok(check, `would use ${first.description}`);
      return fail(
        check,
        `no camera found: ${missing.join('; ')}`,
        'Connect a camera, or configure a network camera.',
      );
    }
  }
}

function found(check: string, { found: cameras, missing }: Survey, kind: string, program: string): Finding {
  const camera = cameras.find(({ source }) => source.kind === kind);
  if (camera) return ok(check, `${program}; ${camera.description}`);
  const reason = missing.find((line) => line.startsWith(kind)) ?? 'no camera was found';
  return fail(check, `${program}, but ${reason}`, 'Check the ribbon cable, and see docs/raspberry-pi.md.');
}

/** @throws Error if nothing answers at the URL of a camera */
async function answering(source: AddressConfig): Promise<string> {
  const address = await readAddress(source);
  await reach(address);
  return `${publicAddress(address)} answers`;
}

async function reach(address: URL): Promise<void> {
  const { hostname, port, protocol } = address;
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  const socket = connect({ host, port: Number(port) || (PORTS[protocol] ?? 80) });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve).once('error', reject);
      socket.setTimeout(CONNECT_MS, () => reject(new Error(`no answer within ${CONNECT_MS / 1000} s`)));
    });
  } catch (error) {
    throw new Error(`cannot connect to ${publicAddress(address)}: ${(error as Error).message}`);
  } finally {
    socket.destroy();
  }
}

/** The programs, devices and addresses of the configured cameras. No device is opened: the daemon may be using it. */
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

/** Ports of addresses that name none. */
const PORTS: Record<string, number> = { 'rtsp:': 554, 'rtsps:': 322, 'http:': 80, 'https:': 443 };

export const checkCameras: Check = async (patient) => {
  const survey = surveyCameras({ env: patient.env, root: patient.root });
  const findings = await Promise.all(
    Object.entries(patient.loaded.config.cameras).map(async ([name, { source, enabled }]) => {
      const check = `camera ${name}`;
      if (!enabled) return ok(check, 'turned off in the configuration');
      try {
        return await look(check, source, patient, survey);
      } catch (error) {
        return failed(check, error, 'See the troubleshooting in docs/cameras.md.');
      }
    }),
  );
  return findings;
};

async function look(
  check: string,
  source: SourceConfig,
  { env, root }: CheckContext,
  survey: Promise<Survey>,
): Promise<Finding> {
  const context = { clock: systemClock, log: pino({ level: 'silent' }), env, root };
  // Single pictures over HTTP need no program, and only asking the camera would tell whether it gives those.
  if (source.kind === 'http' && (await findProgram(['ffmpeg'], env)) === null) {
    const found = `${await answering(source)}; without ffmpeg it can give single pictures only`;
    return warn(check, found, 'If it gives a stream: sudo apt install ffmpeg');
  }
  const there = await requireNeeds(source, context);
  switch (source.kind) {
    case 'libcamera':
      return found(check, await survey, 'libcamera', `${there} is there`);
    case 'gstreamer':
      return ok(check, `${there} is there`);
    case 'v4l2':
      await createSource(source, context);
      return ok(check, `${source.device} may be used, through ${there}`);
    case 'rtsp':
    case 'http':
      return ok(check, `${await answering(source)}; what it shows was not looked at`);
    case 'replay':
      return ok(check, there);
    case 'demo':
      return ok(check, 'rendered, needs nothing');
    case 'auto': {
      const { found: cameras, missing } = await survey;
      const [first] = cameras;
      if (first) return ok(check, `would take ${first.description}`);
      return fail(
        check,
        `no camera found: ${missing.join('; ')}`,
        'Plug one in, or configure a network camera.',
      );
    }
  }
}

function found(check: string, { found: cameras, missing }: Survey, kind: string, program: string): Finding {
  const camera = cameras.find(({ source }) => source.kind === kind);
  if (camera) return ok(check, `${program}; ${camera.description}`);
  const reason = missing.find((line) => line.startsWith(kind)) ?? 'no camera was found';
  return fail(check, `${program}, but ${reason}`, 'Check the ribbon cable, and docs/raspberry-pi.md.');
}

/** Says that something answers at a camera's address. */
async function answering(source: AddressConfig): Promise<string> {
  const address = await readAddress(source);
  await reach(address);
  return `${publicAddress(address)} answers`;
}

/** Resolves when something takes a connection at the address. */
async function reach(address: URL): Promise<void> {
  const { hostname, port, protocol } = address;
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  const socket = connect({ host, port: Number(port) || (PORTS[protocol] ?? 80) });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve).once('error', reject);
      socket.setTimeout(CONNECT_MS, () => reject(new Error(`nobody answers in ${CONNECT_MS / 1000} s`)));
    });
  } catch (error) {
    throw new Error(`${publicAddress(address)} cannot be reached: ${(error as Error).message}`);
  } finally {
    socket.destroy();
  }
}

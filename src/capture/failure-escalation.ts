/**
 * Escalation for cameras that deliver no frames. The first step, restarting the source with backoff, belongs to the
 * supervisor. The others are here:
 *
 *   every third failure in a row ─▶ search for cameras again and log what is found
 *   every camera keeps failing   ─▶ exit, so that the service manager starts a new process
 */
import type { Logger } from 'pino';
import { messageOf } from '../errors.ts';
import { hangingPrograms } from './child-process.ts';
import { surveyCameras } from './discover.ts';

const SURVEY_EVERY = 3;
/** Failures in a row of every camera after which a new process is tried … */
const GIVE_UP_AFTER = 8;
/** … and the same while programs hang in the kernel and hold what a restarted source would need. */
const GIVE_UP_AFTER_HANGING = 3;
const SURVEY_TIMEOUT_MS = 10_000;

export interface FailureEscalationOptions {
  log: Logger;
  /** Names of the cameras that should deliver frames. */
  cameras: () => string[];
  /** Called when only a new process can help, and a service manager is there to start it. */
  onGiveUp: (reason: string) => void;
  env?: NodeJS.ProcessEnv;
  survey?: typeof surveyCameras;
}

export class FailureEscalation {
  readonly #options: FailureEscalationOptions;
  readonly #failures = new Map<string, number>();
  #surveying = false;

  constructor(options: FailureEscalationOptions) {
    this.#options = options;
  }

  /** @param failures of the camera in a row; 0: it delivers frames */
  report(camera: string, failures: number): void {
    this.#failures.set(camera, failures);
    if (failures === 0) return;
    if (failures % SURVEY_EVERY === 0) void this.#logCameras(camera);
    const { cameras, onGiveUp, env = process.env } = this.#options;
    const limit = hangingPrograms() > 0 ? GIVE_UP_AFTER_HANGING : GIVE_UP_AFTER;
    const hopeless = cameras().every((name) => (this.#failures.get(name) ?? 0) >= limit);
    if (hopeless && env.NOTIFY_SOCKET) onGiveUp('no camera delivers frames; only a new process can help');
  }

  async #logCameras(camera: string): Promise<void> {
    if (this.#surveying) return;
    this.#surveying = true;
    const { log, survey = surveyCameras } = this.#options;
    try {
      const { found } = await survey({ signal: AbortSignal.timeout(SURVEY_TIMEOUT_MS) });
      const cameras = found.map(({ description }) => description).join('; ') || 'none';
      log.info({ camera }, `cameras found on this machine: ${cameras}`);
    } catch (error) {
      log.info({ camera }, `cannot search for cameras: ${messageOf(error)}`);
    } finally {
      this.#surveying = false;
    }
  }
}

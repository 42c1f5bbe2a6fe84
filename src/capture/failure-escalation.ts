/**
 * What is done for cameras that give no pictures, step by step. The first step, a new start of the source after a
 * growing pause, is the supervisor's; here the others:
 *
 *   every third failure in a row ─▶ look anew at which cameras there are, and say it
 *   no camera gives any, again and again ─▶ end, so that the service manager starts a fresh process
 */
import type { Logger } from 'pino';
import { messageOf } from '../errors.ts';
import { hangingPrograms } from './child-process.ts';
import { surveyCameras } from './discover.ts';

const SURVEY_EVERY = 3;
/** Failures in a row of every camera after which a new process is tried … */
const GIVE_UP_AFTER = 8;
/** … and when programs hang in the kernel, holding what a new one would need. */
const GIVE_UP_AFTER_HANGING = 3;
const SURVEY_TIMEOUT_MS = 10_000;

export interface FailureEscalationOptions {
  log: Logger;
  /** Names of the cameras that should give pictures. */
  cameras: () => string[];
  /** Called when only a new process can help; not without a service manager to start it. */
  onGiveUp: (reason: string) => void;
  env?: NodeJS.ProcessEnv;
  survey?: typeof surveyCameras;
}

export class FailureEscalation {
  readonly #options: FailureEscalationOptions;
  readonly #failures = new Map<string, number>();
  #looking = false;

  constructor(options: FailureEscalationOptions) {
    this.#options = options;
  }

  /** @param failures of the camera in a row; 0: it gives pictures */
  report(camera: string, failures: number): void {
    this.#failures.set(camera, failures);
    if (failures === 0) return;
    if (failures % SURVEY_EVERY === 0) void this.#look(camera);
    const { cameras, onGiveUp, env = process.env } = this.#options;
    const limit = hangingPrograms() > 0 ? GIVE_UP_AFTER_HANGING : GIVE_UP_AFTER;
    const hopeless = cameras().every((name) => (this.#failures.get(name) ?? 0) >= limit);
    if (hopeless && env.NOTIFY_SOCKET) onGiveUp('no camera gives pictures; only a new process can help');
  }

  async #look(camera: string): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    const { log, survey = surveyCameras } = this.#options;
    try {
      const { found } = await survey({ signal: AbortSignal.timeout(SURVEY_TIMEOUT_MS) });
      const there = found.map(({ description }) => description).join('; ') || 'none';
      log.info({ camera }, `looked for cameras that are there: ${there}`);
    } catch (error) {
      log.info({ camera }, `cameras could not be looked for: ${messageOf(error)}`);
    } finally {
      this.#looking = false;
    }
  }
}

import type { Logger } from 'pino';
import type { Clock } from '../runtime/clock.ts';

/** What a source gets from the daemon. */
export interface SourceContext {
  clock: Clock;
  log: Logger;
  /** Environment of camera programs, and the PATH on which they are looked for. */
  env: NodeJS.ProcessEnv;
  /** Where /sys, /proc and /dev are; tests put their own. */
  root: string;
}

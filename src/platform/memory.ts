/** Gives back what the start has left behind. */
import { systemClock } from './clock.ts';

/** Collects garbage; there if Node.js runs with `--expose-gc`, as scripts/daemon has it. */
declare const gc:
  | ((options: { type: 'major'; execution: 'sync'; flavor: 'last-resort' }) => void)
  | undefined;

const SETTLED_MS = 3000;

/**
 * Has the calling thread collect its garbage once, when its start is over. By itself V8 would keep it: the frame path
 * makes so little that there would be no reason to look. Modules and tables that only the start needed, and holes
 * between what is left, are 4 MB in each thread.
 */
export function tidyAfterStart(): void {
  systemClock.after(SETTLED_MS, () => {
    if (typeof gc === 'function') gc({ type: 'major', execution: 'sync', flavor: 'last-resort' });
  });
}

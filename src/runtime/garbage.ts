/** Gives back what V8 would keep. */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { systemClock } from './clock.ts';

interface Collect {
  (options: { type: 'major'; execution: 'sync'; flavor: 'last-resort' }): void;
  (options: { type: 'major' }): void;
}

/** Collects garbage; there if Node.js runs with `--expose-gc`, as scripts/daemon has it. */
declare const gc: Collect | undefined;

const SETTLED_MS = 3000;
const EVERY_MS = 60_000;

/**
 * Has the calling thread collect its garbage when its start is over, and every minute from then on. By itself V8 would
 * hardly ever: the frame path makes so little in its heap that there would be no reason to look. Modules and tables that
 * only the start needed, and holes between what is left, are 4 MB in each thread; dead buffers, which lie outside of the
 * heap, 5 MB after some ten thousand frames. It takes 7 to 30 ms.
 */
export function scheduleGc(): void {
  systemClock.after(SETTLED_MS, () => {
    collectGarbage();
    systemClock.every(EVERY_MS, collectGarbage);
  });
}

function collectGarbage(): void {
  if (typeof gc === 'function') gc({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}

/**
 * Makes a function that collects garbage each time that so many more bytes have been produced. A long run that keeps
 * nothing would otherwise take 100 MB, because V8 waits until its heap has grown to several times its size.
 */
export function collectEvery(bytes: number): (produced: number) => void {
  let left = 0;
  let collect: Collect | undefined;
  return (produced) => {
    left -= produced;
    if (left > 0) return;
    left = bytes;
    if (collect) return collect({ type: 'major' });
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as Collect;
    // The first time what the start has left behind goes, too.
    collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
  };
}

/**
 * Gives a buffer's memory back now. Left to the collector it would lie for minutes where there is little garbage, and a
 * few pictures would set the collector to work again and again.
 */
export function free(buffer: ArrayBuffer): void {
  buffer.transfer(0);
}

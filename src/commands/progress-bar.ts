import type { DownloadOptions } from '../modelkit/download.ts';

const BAR = 30;
const REDRAW_MS = 100;
/** Percent after which a new line is printed, where the output is not a terminal. */
const STEP = 25;

interface Screen {
  write(text: string): unknown;
  isTTY?: boolean;
}

type Progress = Required<Pick<DownloadOptions, 'onProgress' | 'onRetry'>> & {
  /** Call this when the download ends, whether it succeeded or not. */
  end: () => void;
};

/** Shows the progress of a download: a bar on a terminal, a few plain lines elsewhere. */
export function showProgress(screen: Screen, now: () => number = () => performance.now()): Progress {
  let drawn = Number.NEGATIVE_INFINITY;
  let open = false;
  let step = -1;
  const end = () => {
    if (open) screen.write('\n');
    open = false;
  };
  return {
    onProgress(received, total) {
      const complete = received === total;
      if (screen.isTTY) {
        if (!complete && now() - drawn < REDRAW_MS) return;
        drawn = now();
        open = true;
        screen.write(`\r${bar(received, total)}\x1b[K`);
        if (complete) end();
        return;
      }
      const reached = total ? Math.floor((100 * received) / total / STEP) : 0;
      if (reached === step) return;
      step = reached;
      screen.write(`downloading: ${amount(received, total)}\n`);
    },
    onRetry(reason, waitMs) {
      end();
      screen.write(`${reason}; retrying in ${Math.ceil(waitMs / 1000)} s\n`);
    },
    end,
  };
}

/**
 * Shows the progress of a long computation in the same way.
 * @returns `onProgress` for the completed fraction, 0…1, and `log` for lines in between
 */
export function showShare(
  screen: Screen,
  what: string,
): { onProgress: (share: number) => void; log: (line: string) => void } {
  let open = false;
  let shown = -1;
  return {
    onProgress(share) {
      const percent = Math.floor(100 * share);
      const reached = screen.isTTY ? percent : Math.floor(percent / STEP);
      if (reached === shown) return;
      shown = reached;
      open = screen.isTTY === true && share < 1;
      if (screen.isTTY) screen.write(`\r${drawn(share)} ${percent} %\x1b[K${open ? '' : '\n'}`);
      else screen.write(`${what}: ${percent} %\n`);
    },
    log(line) {
      screen.write(`${open ? '\r\x1b[K' : ''}${line}\n`);
    },
  };
}

function bar(received: number, total: number | null): string {
  if (!total) return amount(received, total);
  return `${drawn(received / total)} ${amount(received, total)}`;
}

function drawn(share: number): string {
  const full = Math.round(BAR * share);
  return `[${'#'.repeat(full)}${' '.repeat(BAR - full)}]`;
}

function amount(received: number, total: number | null): string {
  const mb = (bytes: number) => (bytes / 1e6).toFixed(1);
  if (!total) return `${mb(received)} MB`;
  return `${Math.floor((100 * received) / total)} %, ${mb(received)} of ${mb(total)} MB`;
}
